"""Several readers on one connection."""

import asyncio

import pytest

from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.model.carrier import Properties
from tests.a2a.bus import Bus, Packet
from tests.a2a.fake_clock import FakeClock

pytestmark = pytest.mark.anyio


async def test_each_branch_reads_what_it_subscribed_to(bus: Bus, clock: FakeClock) -> None:
    async with bus.wire("a") as wire, Switchboard(wire) as board:
        one, two, shared = board.branch(), board.branch(), board.branch()
        await one.subscribe(["x/+"])
        await two.subscribe(["y/#", "x/both"])
        await shared.subscribe(["$share/g/z"])
        for topic in ("x/1", "y/1/2", "x/both", "z", "x/2"):
            await one.publish(topic, b"")
        await clock.settle()
        assert [await _next(one) for _ in range(3)] == ["x/1", "x/both", "x/2"]
        assert [await _next(two) for _ in range(2)] == ["y/1/2", "x/both"]
        assert await _next(shared) == "z"


async def test_a_message_for_two_is_acknowledged_by_both(bus: Bus, clock: FakeClock) -> None:
    async with bus.wire("a") as wire, Switchboard(wire) as board:
        one, two = board.branch(), board.branch()
        for branch in (one, two):
            await branch.subscribe(["x"])
        packet = Packet("x", b"", Properties())
        wire.put(packet)
        first = await anext(one.messages())
        second = await anext(two.messages())
        first.acknowledge()
        first.acknowledge()
        assert not packet.acknowledged
        second.acknowledge()
        assert packet.acknowledged


async def test_what_nobody_wants_is_let_go(bus: Bus, clock: FakeClock) -> None:
    async with bus.wire("a") as wire, Switchboard(wire):
        packet = Packet("old", b"", Properties())
        wire.put(packet)
        await clock.settle()
        assert packet.acknowledged


async def test_branches_end_with_the_connection(bus: Bus) -> None:
    wire = bus.wire("a")
    await wire.__aenter__()
    async with Switchboard(wire) as board:
        branch = board.branch()
        assert branch.connected
        assert await branch.wait_connected(timeout_s=1)
        await wire.__aexit__()
        async with asyncio.timeout(5):
            assert [message async for message in branch.messages()] == []
        assert not branch.connected


async def _next(branch: object) -> str:
    message = await anext(branch.messages())  # type: ignore[attr-defined]
    topic: str = message.topic
    return topic
