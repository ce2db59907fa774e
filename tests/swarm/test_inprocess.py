"""The contract of every transport, inside this process."""

from contextlib import AbstractAsyncContextManager

import pytest

from agentorchestr.model.carrier import Transport, Will
from agentorchestr.model.mail import Address
from agentorchestr.swarm.inprocess import InProcessTransport, LocalCarrier
from tests.swarm.transport_contract import ANN, CONTRACT, Contract, inbox, next_of, own_inbox

pytestmark = pytest.mark.anyio


class ProcessWorld:
    """Connections inside this process."""

    def __init__(self) -> None:
        self.carrier = LocalCarrier()

    def transport(
        self, address: Address, *, will: Will | None = None, session_expiry_s: int = 300
    ) -> AbstractAsyncContextManager[InProcessTransport]:
        return InProcessTransport(self.carrier, address, will=will, session_expiry_s=session_expiry_s)

    async def cut(self, transport: Transport) -> None:
        assert isinstance(transport, InProcessTransport)
        transport.cut()

    async def kill(self, transport: Transport) -> None:
        assert isinstance(transport, InProcessTransport)
        transport.cut(stay_away=True)


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
async def test_inside_this_process(promise: Contract) -> None:
    await promise(ProcessWorld())


async def test_a_second_connection_of_a_name_takes_over() -> None:
    world = ProcessWorld()
    async with world.transport(ANN) as old:
        await old.subscribe([own_inbox(ANN)])
        async with world.transport(ANN) as new:
            assert not old.connected
            await new.publish(inbox(ANN, ANN), b"x")
            assert (await next_of(new)).payload == b"x"


async def test_an_acknowledgement_of_an_earlier_connection_lets_nothing_go() -> None:
    world = ProcessWorld()
    async with world.transport(ANN) as ann:
        await ann.subscribe([own_inbox(ANN)])
        await ann.publish(inbox(ANN, ANN), b"x")
        early = await next_of(ann)
        await world.cut(ann)
        await next_of(ann)
        early.acknowledge()
        await world.cut(ann)
        assert (await next_of(ann)).payload == b"x"
