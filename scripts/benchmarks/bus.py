"""Letters with their journal on, against bare MQTT clients on the same broker, in turns, in one run.

Needs aiomqtt: ``.venv/bin/pip install aiomqtt``. Each side is a process of its own.
"""

import asyncio
import json
import logging
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Address, AgentCard, Letter
from agentorchestr.mqtt.broker import ensure_broker, stop_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from agentorchestr.swarm.exchange import Exchange
from scripts.benchmarks.measuring import Figure, Group

ANN, BEN = Address("agentorchestr", "local", "ann"), Address("agentorchestr", "local", "ben")
TOPIC = f"agentorchestr/v1/in/{BEN}/{ANN}"
BODY = "x" * 300
ROUNDS = 3
AWAITED, PIPELINED, PACED = 3000, 6000, 300
PACE_S = 1 / 150
IN_FLIGHT = 256
_ctx = multiprocessing.get_context("spawn")


async def _receive_ours(  # noqa: PLR0917 - as _serve hands them on
    endpoint: Endpoint, login: Login, folder: str, count: int, ready: Event, done: "Queue[Any]"
) -> None:
    with MailStore(Path(folder) / "ben.sqlite") as store:
        async with MqttConnection(endpoint, client_id=str(BEN), login=login, will=None) as line:
            exchange = Exchange(line, store, BEN, card=AgentCard(BEN), names_bound=True)
            async with exchange:
                ready.set()
                taken: list[float] = []
                async for letter in exchange.inbox():
                    taken.append(time.time() - letter.created_at)
                    if len(taken) == count:
                        break
                done.put((time.time(), taken))
                await asyncio.sleep(0.3)  # the last receipts


async def _receive_bare(
    endpoint: Endpoint, login: Login, _folder: str, count: int, ready: Event, done: "Queue[Any]"
) -> None:
    async with _bare(endpoint, BEN, login) as client:
        await client.subscribe(TOPIC, qos=1)
        ready.set()
        taken: list[float] = []
        async for message in client.messages:
            taken.append(time.time() - json.loads(message.payload)["at"])
            if len(taken) == count:
                break
        done.put((time.time(), taken))


def _bare(endpoint: Endpoint, me: Address, login: Login) -> Any:
    import aiomqtt

    logging.getLogger("mqtt").setLevel(logging.ERROR)  # it warns of each message in flight
    return aiomqtt.Client(
        str(endpoint.unix),
        transport="unix",
        identifier=str(me),
        username=login.user,
        password=login.password,
        protocol=aiomqtt.ProtocolVersion.V5,
    )


async def _send_ours(endpoint: Endpoint, login: Login, folder: str, count: int, how: str) -> float:
    with MailStore(Path(folder) / "ann.sqlite") as store:
        async with MqttConnection(endpoint, client_id=str(ANN), login=login, will=None) as line:
            exchange = Exchange(line, store, ANN, card=AgentCard(ANN), names_bound=True)
            async with exchange:
                began = time.time()
                await _repeat(lambda: exchange.send(Letter("", ANN, BEN, BODY)), count, how)
                return began


async def _send_bare(endpoint: Endpoint, login: Login, _folder: str, count: int, how: str) -> float:
    async with _bare(endpoint, ANN, login) as client:
        began = time.time()

        def publish() -> Any:
            return client.publish(TOPIC, json.dumps({"at": time.time(), "body": BODY}).encode(), qos=1)

        await _repeat(publish, count, how)
        return began


async def _repeat(send: Any, count: int, how: str) -> None:
    if how == "pipelined":
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one() -> None:
            async with room:
                await send()

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())
        return
    for _ in range(count):
        await send()
        if how == "paced":
            await asyncio.sleep(PACE_S)


def _serve(receive: Any, *args: Any) -> None:
    asyncio.run(receive(*args))


def _one_run(sides: tuple[Any, Any], ends: tuple[Endpoint, Login, Login], count: int, how: str) -> Any:
    """Messages per second, or the latencies of a paced run in seconds."""
    send, receive = sides
    endpoint, ann, ben = ends
    folder = tempfile.mkdtemp(prefix="ao-")
    ready, done = _ctx.Event(), _ctx.Queue()
    side = _ctx.Process(target=_serve, args=(receive, endpoint, ben, folder, count, ready, done))
    side.start()
    try:
        ready.wait(30)
        began = asyncio.run(send(endpoint, ann, folder, count, how))
        ended, taken = done.get(timeout=60)
        return taken if how == "paced" else count / (ended - began)
    finally:
        side.join(10)
        side.kill()
        shutil.rmtree(folder, ignore_errors=True)


def measure_bus() -> Iterator[Figure]:
    home = Path(tempfile.mkdtemp(prefix="ao-"))
    paths = Paths.from_env({"HOME": str(home), "XDG_RUNTIME_DIR": str(home)})
    broker = ensure_broker(paths)
    try:
        ends = (broker.endpoint_unix, add_login(paths, ANN), add_login(paths, BEN))
        yield from _compared(ends)
    finally:
        stop_broker(paths)
        shutil.rmtree(home, ignore_errors=True)


def _compared(ends: tuple[Endpoint, Login, Login]) -> Iterator[Figure]:
    ours, bare = (_send_ours, _receive_ours), (_send_bare, _receive_bare)
    for how, count, limit in (("awaited", AWAITED, 1.25), ("pipelined", PIPELINED, 2.0)):
        pairs = [(_one_run(bare, ends, count, how), _one_run(ours, ends, count, how)) for _ in range(ROUNDS)]
        ratio = statistics.median(one / other for one, other in pairs)
        rates = tuple(statistics.median(column) for column in zip(*pairs, strict=True))
        detail = f"bare aiomqtt {rates[0]:.0f}/s, letters {rates[1]:.0f}/s"
        yield Figure(f"bare QoS 1 over letters, {how}", ratio, "x", limit, detail)
    paced = [[_one_run(side, ends, PACED, "paced") for side in (bare, ours)] for _ in range(ROUNDS)]
    middles = [(statistics.median(one), statistics.median(other)) for one, other in paced]
    ratio = statistics.median(other / one for one, other in middles)
    last = sorted(paced[-1][1])[int(PACED * 0.99)] * 1000
    yield Figure("one way p50, letters over bare", ratio, "x", 1.5, f"p99 {last:.1f} ms at 150/s")


GROUPS = (Group("bus", "letters with their journal on, against bare aiomqtt (needs aiomqtt)", measure_bus),)
