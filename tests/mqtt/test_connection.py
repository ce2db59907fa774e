"""What only a real connection can show: speed, a broker that dies, many at once, and who is refused."""

import asyncio
import os
import signal
import statistics
import sys
import time
from pathlib import Path

import pytest

from agentorchestr.errors import BusError, CarrierGone, CarrierRefused
from agentorchestr.model.carrier import LETTERS_ROOT, Delivered
from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Login
from agentorchestr.mqtt.knock import knock
from agentorchestr.mqtt.logins import add_login, remove_logins
from agentorchestr.paths import Paths
from tests.mqtt.conftest import BrokerWorld, kill_hard, soon
from tests.swarm.transport_contract import (
    ANN,
    BEN,
    CAT,
    UNSAYABLE,
    inbox,
    next_of,
    own_inbox,
    ready,
    stays_silent,
    taken,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("over", ["unix", "tcp"])
async def test_a_round_trip_on_one_connection_does_not_wait_for_delayed_acks(
    broker: BrokerHandle, private_paths: Paths, over: str, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint = broker.endpoint_unix if over == "unix" else broker.endpoint_tcp
    world = BrokerWorld(private_paths, endpoint)
    took: list[float] = []
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ann.subscribe([own_inbox(ANN)])
        await ben.subscribe([own_inbox(BEN)])

        async def echo() -> None:
            async for asked in ben.messages():
                await ben.publish(inbox(ANN, BEN), asked.payload)
                asked.acknowledge()

        answering = asyncio.ensure_future(echo())
        for _ in range(100):
            began = time.perf_counter()
            await ann.publish(inbox(BEN, ANN), b"x" * 400)
            (await next_of(ann)).acknowledge()
            took.append(time.perf_counter() - began)
        answering.cancel()
    median_ms = statistics.median(took) * 1000
    with capsys.disabled():
        sys.stdout.write(
            f"\nround trip over {over}: p50 {median_ms:.2f} ms, p99 {sorted(took)[98] * 1000:.2f} ms\n"
        )
    assert median_ms < 30


async def test_more_publishes_at_once_than_a_connection_may_have_in_flight(world: BrokerWorld) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        many = 3000
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(taken(ben, many))
            sent = [
                group.create_task(ann.publish(inbox(BEN, ANN), str(number).encode()))
                for number in range(many)
            ]
    assert {one.result() for one in sent} == {Delivered.ACCEPTED}
    assert reading.result() == [str(number).encode() for number in range(many)]


async def test_more_waits_unacknowledged_than_the_receiver_takes_at_once(world: BrokerWorld) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        async with asyncio.TaskGroup() as group:
            for number in range(1500):
                group.create_task(ann.publish(inbox(BEN, ANN), str(number).encode()))
        held = [await next_of(ben) for _ in range(500)]
        await stays_silent(ben)
        for message in held:
            message.acknowledge()
        assert await taken(ben, 1000) == [str(number).encode() for number in range(500, 1500)]


async def test_a_killed_broker_is_found_again_by_a_living_connection(
    broker: BrokerHandle, private_paths: Paths, world: BrokerWorld
) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        kill_hard(broker.pid)
        await soon(lambda: not ann.connected and not ben.connected)
        with pytest.raises(CarrierGone):
            await ann.publish(inbox(BEN, ANN), b"into the void")
        ensure_broker(private_paths)
        await ready(ann)
        await ready(ben)
        assert await ann.publish(inbox(BEN, ANN), b"back") is Delivered.ACCEPTED
        assert await taken(ben, 1) == [b"back"]


async def test_a_connection_can_bring_its_broker_back(broker: BrokerHandle, private_paths: Paths) -> None:
    calls: list[int] = []

    def revive() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise BusError("not yet")
        ensure_broker(private_paths)

    line = MqttConnection(
        broker.endpoint_unix,
        client_id=str(ANN),
        login=add_login(private_paths, ANN),
        will=None,
        revive=revive,
    )
    async with line as ann:
        kill_hard(broker.pid)
        await soon(lambda: not ann.connected)
        await ready(ann)
    assert len(calls) == 2


async def test_who_waits_for_an_answer_is_told_when_the_broker_dies(
    broker: BrokerHandle, world: BrokerWorld
) -> None:
    async with world.transport(ANN) as ann:
        os.kill(broker.pid, signal.SIGSTOP)
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(_gone(ann.publish(inbox(BEN, ANN), b"x"))) for _ in range(700)]
            await asyncio.sleep(0)
            kill_hard(broker.pid)
            async with asyncio.timeout(20):
                await asyncio.gather(*waiting)
        assert all(one.result() for one in waiting)


async def _gone(publishing: object) -> bool:
    try:
        await publishing  # type: ignore[misc]
    except CarrierGone:
        return True
    return False


async def test_it_may_be_made_while_there_is_no_broker(private_paths: Paths, broker: BrokerHandle) -> None:
    world = BrokerWorld(private_paths, broker.endpoint_unix)
    lines = world.transport(ANN), world.transport(BEN)
    kill_hard(broker.pid)
    async with lines[0] as ann, lines[1] as ben:
        assert not ann.connected
        await ben.subscribe([own_inbox(BEN)])
        ensure_broker(private_paths)
        await ready(ann)
        await ready(ben)
        assert await ann.publish(inbox(BEN, ANN), b"late") is Delivered.ACCEPTED
        assert await taken(ben, 1) == [b"late"]


async def test_a_silent_broker_is_noticed(broker: BrokerHandle, private_paths: Paths) -> None:
    line = MqttConnection(
        broker.endpoint_tcp,
        client_id=str(ANN),
        login=add_login(private_paths, ANN),
        will=None,
        keepalive_s=1,
    )
    async with line as ann:
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            await soon(lambda: not ann.connected)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        await ready(ann)


async def test_nobody_hangs_up_on_words_that_no_broker_takes(world: BrokerWorld) -> None:
    async with world.transport(ANN) as ann:
        welcome = ann.welcome
        for topic, properties in UNSAYABLE:
            assert await ann.publish(topic, b"x", properties=properties) is Delivered.REFUSED
        assert ann.welcome is welcome


async def test_without_a_login_nobody_comes_in(broker: BrokerHandle) -> None:
    for login in (None, Login(str(ANN), "guessed"), Login(str(ANN), "")):
        with pytest.raises(CarrierRefused):
            async with MqttConnection(broker.endpoint_tcp, client_id=str(ANN), login=login, will=None):
                pass


async def test_a_forged_client_id_gives_neither_name_nor_letters(
    world: BrokerWorld, private_paths: Paths, broker: BrokerHandle
) -> None:
    async with world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
    async with world.transport(CAT) as cat:
        await cat.publish(inbox(BEN, CAT), b"for ben alone")
    forged = MqttConnection(
        broker.endpoint_unix, client_id=str(BEN), login=add_login(private_paths, ANN), will=None
    )
    async with forged as ann:
        await ann.subscribe([own_inbox(BEN)])
        await stays_silent(ann)
        assert await ann.publish(inbox(CAT, BEN), b"forged") is Delivered.REFUSED
        async with world.transport(BEN) as ben:
            assert await taken(ben, 1) == [b"for ben alone"]
            assert ann.connected


async def test_a_worker_cannot_publish_as_the_lead(world: BrokerWorld) -> None:
    async with world.transport(ANN) as worker:
        assert await worker.publish(f"{LETTERS_ROOT}/all/{BEN}", b"stop all") is Delivered.REFUSED
        assert await worker.publish(inbox(CAT, BEN), b"merge it") is Delivered.REFUSED
        assert await worker.publish(f"{LETTERS_ROOT}/in/{CAT}/{BEN}/{ANN}", b"x") is Delivered.REFUSED
        assert await worker.publish(f"$a2a/v1/event/{BEN}", b"x") is Delivered.REFUSED


async def test_taking_a_login_away_ends_its_connection_and_no_other(
    world: BrokerWorld, private_paths: Paths, broker: BrokerHandle
) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        link = ben.welcome
        remove_logins(private_paths, [ANN])
        await soon(lambda: not ann.connected)
        assert not await ann.wait_connected(timeout_s=0.5)
        assert ben.connected
        assert ben.welcome is link


async def test_the_newer_of_two_with_one_login_takes_over(world: BrokerWorld) -> None:
    async with world.transport(ANN) as old, world.transport(ANN) as new:
        await soon(lambda: not old.connected)
        assert new.connected
        old.cut(stay_away=True)


async def test_leaving_gives_every_acknowledgement_to_the_broker(world: BrokerWorld) -> None:
    async with world.transport(ANN) as ann:
        async with world.transport(BEN) as ben:
            await ben.subscribe([own_inbox(BEN)])
            await ann.publish(inbox(BEN, ANN), b"x")
            (await next_of(ben)).acknowledge()
        async with world.transport(BEN) as ben:
            await stays_silent(ben)


async def test_an_error_inside_passes_through_as_it_is(world: BrokerWorld) -> None:
    with pytest.raises(KeyError):
        async with world.transport(ANN):
            raise KeyError


async def test_cancelling_who_holds_it_leaves_nothing_open(world: BrokerWorld, broker: BrokerHandle) -> None:
    before = asyncio.all_tasks()
    inside = asyncio.Event()

    async def hold() -> None:
        async with world.transport(ANN):
            inside.set()
            await asyncio.Event().wait()

    holding = asyncio.ensure_future(hold())
    await inside.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert asyncio.all_tasks() == before


def test_a_knock_at_no_door_is_no_answer(tmp_path: Path) -> None:
    assert knock(tmp_path / "none", None, timeout_s=1) is None
