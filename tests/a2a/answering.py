"""A responder with a puppet behind it, and a raw client in front."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from agentorchestr.a2a.responder import Responder
from tests.a2a.agents import Puppet
from tests.a2a.bus import Bus, Packet
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, Raw, read


@asynccontextmanager
async def answering(bus: Bus, clock: FakeClock, puppet: Puppet, **options: Any) -> AsyncIterator[Raw]:
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(bus.wire(str(BEN)))
        await stack.enter_async_context(Responder(wire, BEN, puppet, clock=clock, **options))
        ann = await stack.enter_async_context(Raw(bus, ANN))
        await ann.listen()
        yield ann
        await clock.settle()


async def told(ann: Raw, clock: FakeClock) -> list[Packet]:
    await clock.settle()
    return ann.taken()


def error_of(packet: Packet) -> dict[str, Any]:
    found: dict[str, Any] = read(packet)["error"]
    return found
