"""The two ends of a comparison, ours and bare: how each sends and receives, in a process of its own."""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from agentorchestr.clock import until
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Address, AgentCard, Letter
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.swarm.exchange import Exchange

BODY = "x" * 300
PACE_S = 1 / 150
IN_FLIGHT = 256
RECEIPTS_S = 20.0
BROKER_S = 20.0


@dataclass(frozen=True)
class Part:
    """What one process has to do: send *count* messages to *others* in turn, or get *count*."""

    endpoint: Endpoint
    login: Login
    me: Address
    others: tuple[Address, ...]
    count: int
    how: str
    """``awaited``, ``pipelined``, or ``paced`` below what anybody needs to hurry for."""
    folder: str


@dataclass(frozen=True)
class Got:
    """What a receiver saw: when the last came, and how long each took."""

    last_at: float
    taken_s: list[float]


Ready = Callable[[], None]
"""Say that this end stands; for a sender it returns when all do."""


@dataclass(frozen=True)
class Side:
    """One way to send and to receive."""

    name: str
    send: Callable[[Part, Ready], None]
    receive: Callable[[Part, Ready], Got]


# --- ours: on disk at both ends, with receipts --------------------------------------------------------


async def _with_exchange(part: Part, work: Callable[[Exchange], Awaitable[Any]]) -> Any:
    async with AsyncExitStack() as stack:
        store = stack.enter_context(MailStore(Path(part.folder) / f"{part.me.agent}.sqlite"))
        line = MqttConnection(part.endpoint, client_id=str(part.me), login=part.login, will=None)
        await stack.enter_async_context(line)
        exchange = Exchange(line, store, part.me, card=AgentCard(part.me), names_bound=True)
        await stack.enter_async_context(exchange)
        done = await work(exchange)
        await _all_receipts(store, part.me)
        return done


async def _all_receipts(store: MailStore, me: Address) -> None:
    async with asyncio.timeout(RECEIPTS_S):
        while store.outbox.next_due(me) is not None:  # noqa: ASYNC110 - the store is a file, it has no event
            await asyncio.sleep(0.02)


def _send_ours(part: Part, ready: Ready) -> None:
    async def work(exchange: Exchange) -> None:
        ready()
        to = itertools.cycle(part.others)
        await _repeat(lambda: exchange.send(Letter("", part.me, next(to), BODY)), part)

    asyncio.run(_with_exchange(part, work))


def _receive_ours(part: Part, ready: Ready) -> Got:
    async def work(exchange: Exchange) -> Got:
        ready()
        taken, ids = [], set()
        async for letter in exchange.inbox():
            taken.append(time.time() - letter.created_at)
            ids.add(letter.letter_id)
            if len(taken) == part.count:
                break
        assert len(ids) == part.count, f"{part.count - len(ids)} came twice"
        last_at = time.time()
        await asyncio.sleep(0.2)  # the receipts of the last letters go out
        return Got(last_at, taken)

    return asyncio.run(_with_exchange(part, work))


# --- bare: the same bytes at QoS 1, nothing on disk --------------------------------------------------


def _topic(to: Address, sender: Address) -> str:
    return f"agentorchestr/v1/in/{to}/{sender}"


def _payload() -> bytes:
    return json.dumps({"at": time.time(), "body": BODY}).encode()


def _age(payload: bytes) -> float:
    return float(time.time() - json.loads(payload)["at"])


def _aiomqtt(part: Part) -> Any:
    import aiomqtt

    logging.getLogger("mqtt").setLevel(logging.ERROR)  # it warns of each message in flight
    return aiomqtt.Client(
        str(part.endpoint.unix),
        transport="unix",
        identifier=str(part.me),
        username=part.login.user,
        password=part.login.password,
        protocol=aiomqtt.ProtocolVersion.V5,
    )


def _send_aiomqtt(part: Part, ready: Ready) -> None:
    async def work() -> None:
        async with _aiomqtt(part) as client:
            ready()
            to = itertools.cycle(part.others)
            await _repeat(lambda: client.publish(_topic(next(to), part.me), _payload(), qos=1), part)

    asyncio.run(work())


def _receive_aiomqtt(part: Part, ready: Ready) -> Got:
    async def work() -> Got:
        async with _aiomqtt(part) as client:
            await client.subscribe(_topic(part.me, part.me).rsplit("/", 3)[0] + "/#", qos=1)
            ready()
            taken: list[float] = []
            async for message in client.messages:
                taken.append(_age(message.payload))
                if len(taken) == part.count:
                    break
            return Got(time.time(), taken)

    return asyncio.run(work())


def _paho(part: Part) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=str(part.me), protocol=paho.MQTTv5, transport="unix"
    )
    client.username_pw_set(part.login.user, part.login.password)
    client.max_inflight_messages_set(IN_FLIGHT)
    return client


def _connect(client: paho.Client, part: Part) -> None:
    client.connect(str(part.endpoint.unix), 1)
    client.loop_start()
    assert until(client.is_connected, within_s=BROKER_S), "no broker"


def _send_paho(part: Part, ready: Ready) -> None:
    client = _paho(part)
    _connect(client, part)
    ready()
    to = itertools.cycle(part.others)
    waiting = []
    for _ in range(part.count):
        info = client.publish(_topic(next(to), part.me), _payload(), qos=1)
        if part.how == "pipelined":
            waiting.append(info)
        else:
            info.wait_for_publish(BROKER_S)
        if part.how == "paced":
            time.sleep(PACE_S)
    for info in waiting:
        info.wait_for_publish(BROKER_S)
    client.disconnect()
    client.loop_stop()


def _receive_paho(part: Part, ready: Ready) -> Got:
    taken: list[float] = []
    ended: list[float] = []

    def take(_client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        taken.append(_age(message.payload))
        if len(taken) == part.count:
            ended.append(time.time())

    client = _paho(part)
    client.on_message = take
    listening: list[bool] = []
    client.on_subscribe = lambda *_: listening.append(True)
    _connect(client, part)
    client.subscribe(_topic(part.me, part.me).rsplit("/", 3)[0] + "/#", qos=1)
    assert until(lambda: listening, within_s=BROKER_S), "no answer to the subscription"
    ready()
    assert until(lambda: ended, within_s=10 * BROKER_S, every_s=0.05), f"only {len(taken)} came"
    client.disconnect()
    client.loop_stop()
    return Got(ended[0], taken)


async def _repeat(send: Callable[[], Awaitable[object]], part: Part) -> None:
    if part.how == "pipelined":
        counting = iter(range(part.count))

        async def worker() -> None:
            for _ in counting:
                await send()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(IN_FLIGHT, part.count)):
                group.create_task(worker())
        return
    for _ in range(part.count):
        await send()
        if part.how == "paced":
            await asyncio.sleep(PACE_S)


OURS = Side("letters", _send_ours, _receive_ours)
AIOMQTT = Side("bare aiomqtt", _send_aiomqtt, _receive_aiomqtt)
PAHO = Side("bare paho", _send_paho, _receive_paho)
