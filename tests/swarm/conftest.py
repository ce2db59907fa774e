"""Agents with a mail store each, on the carrier inside this process or on a real broker."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.carrier import Will
from agentorchestr.model.mail import Address, AgentCard, Letter, Skill
from agentorchestr.paths import Paths
from agentorchestr.swarm.card_wire import will_of
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.outgoing import Timing
from tests.swarm.test_inprocess import ProcessWorld
from tests.swarm.transport_contract import ANN, World

QUICK = Timing(receipt_s=0.5, receipt_most_s=2.0, nobody_s=0.1, nobody_most_s=0.4, grace_s=0.2, card_s=60.0)


PATIENT = Timing(receipt_s=300, nobody_s=300, nobody_most_s=300)


class Slow(Clock):
    """The system's clock, as far ahead as a test says."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


class Post:
    """Makes agents on one carrier; the mail of each stands in a file of its own and outlives it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder

    def store(self, me: Address) -> MailStore:
        return MailStore(self.folder / f"{me.agent}.sqlite")

    @asynccontextmanager
    async def agent(
        self,
        me: Address,
        *,
        skills: tuple[str, ...] = (),
        slots: int = 1,
        instance: str = "i1",
        timing: Timing = QUICK,
        prepare: Callable[[Exchange], None] = lambda _: None,
        will: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> AsyncIterator[Exchange]:
        card = AgentCard(me, skills=tuple(map(Skill, skills)), free_slots=slots, instance=instance)
        last: Will | None = will_of(card, at=0.0, delay_s=0) if will else None
        with self.store(me) as store:
            async with self.world.transport(me, will=last) as transport:
                exchange = Exchange(
                    transport, store, me, card=card, timing=timing, clock=clock, names_bound=True
                )
                assert await transport.wait_connected(timeout_s=10)
                prepare(exchange)
                async with exchange:
                    yield exchange


@pytest.fixture
def local(tmp_path: Path) -> Post:
    return Post(ProcessWorld(), tmp_path)


@pytest.fixture(params=["inprocess", "mosquitto"])
def post(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Post]:
    if request.param == "inprocess":
        yield Post(ProcessWorld(), tmp_path)
        return
    from agentorchestr.mqtt.broker import ensure_broker, stop_broker
    from tests.mqtt.conftest import BrokerWorld

    paths: Paths = request.getfixturevalue("private_paths")
    broker = ensure_broker(paths)
    yield Post(BrokerWorld(paths, broker.endpoint_unix), tmp_path)
    stop_broker(paths)


def note(to: Address | None, body: str = "hello", **fields: object) -> Letter:
    return Letter(letter_id="", sender=ANN, receiver=to, body=body, **fields)  # type: ignore[arg-type]


async def first(letters: AsyncIterator[Letter], count: int, *, within_s: float = 20.0) -> list[Letter]:
    """The next *count* letters, each handled but the last one out."""
    found: list[Letter] = []
    async with asyncio.timeout(within_s):
        async for letter in letters:
            found.append(letter)
            if len(found) == count:
                break
    return found


async def soon(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Wait until *condition*, a function or a coroutine function, is true."""
    async with asyncio.timeout(within_s):
        # What is waited for may happen in a file or in another process.
        while not (await found if inspect.isawaitable(found := condition()) else found):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
