"""A session on a broker that somebody named: what it can do is written down, and decides who joins it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.cli.shapes import bus_shape
from agentorchestr.clock import Clock
from agentorchestr.errors import CarrierGone
from agentorchestr.model.broker import BrokerAbilities, ability_rows
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.post import Post
from tests.supervisor.conftest import lives
from tests.supervisor.watching import new_book

pytestmark = pytest.mark.anyio
URL = "mqtts://host:8883"
ABLE = BrokerAbilities(*[True] * 8, packet_bytes=65536, shared_on_a2a_granted=True)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = new_book(tmp_path)
    yield made
    made._journal.close()


class Carried:
    """A carrier whose probe says what a test wants, and which only counts who dials."""

    def __init__(self, found: BrokerAbilities | CarrierGone) -> None:
        self.found = found
        self.dialled: list[str] = []
        self.hung_up: list[str] = []
        self.broker = URL
        self.store = None

    async def probe(self) -> BrokerAbilities:
        if isinstance(self.found, CarrierGone):
            raise self.found
        return self.found

    @asynccontextmanager
    async def dial(self, address: Any, _will: Any) -> AsyncIterator[None]:
        self.dialled.append(address.agent)
        try:
            await asyncio.Event().wait()
            yield
        finally:
            self.hung_up.append(address.agent)


class Gear:
    """As much of the session's gear as the post touches."""

    def __init__(self, book: Book) -> None:
        self.book, self.clock, self.session_id, self.roles = book, Clock(), "s1", {}

    @property
    def view(self) -> Any:
        return self.book.view


async def serve(book: Book, found: BrokerAbilities | CarrierGone) -> tuple[Carried, asyncio.Task[None]]:
    """The post at work, once it has tried the broker."""
    gear: Any = Gear(book)
    carrier: Any = Carried(found)
    serving = asyncio.create_task(Post(gear, carrier).serve())
    assert await book.wait_until(lambda view: view.broker_tried is not None, timeout_s=10)
    return carrier, serving


async def test_what_a_broker_can_do_is_a_fact_and_its_members_stay(book: Book) -> None:
    await book.record(*lives("w1"))
    carrier, serving = await serve(book, ABLE)
    shape = bus_shape(book.view)
    assert shape["abilities"] == vars(ABLE)
    assert shape["problem"] is None
    async with asyncio.timeout(10):
        while not carrier.dialled:  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)
    assert not serving.done()
    serving.cancel()
    assert carrier.dialled == ["w1"]


@pytest.mark.parametrize("lacking", ["a2a_topics", "retained", "session_expiry"])
async def test_a_broker_that_lacks_what_is_needed_is_left_and_that_is_told(book: Book, lacking: str) -> None:
    await book.record(*lives("w1"))
    carrier, serving = await serve(book, BrokerAbilities(**{**vars(ABLE), lacking: False}))
    async with asyncio.timeout(10):
        await serving
    assert carrier.dialled == carrier.hung_up
    assert lacking in book.view.off_bus
    assert "within this session only" in book.view.off_bus
    assert bus_shape(book.view)["problem"] == book.view.off_bus


async def test_a_broker_that_does_not_answer_yet_is_waited_for(book: Book) -> None:
    carrier, serving = await serve(book, CarrierGone("no broker answers at mqtts://host:8883"))
    assert bus_shape(book.view)["problem"] == "no broker answers at mqtts://host:8883."
    assert book.view.off_bus == ""
    await book.record(*lives("w1"))
    async with asyncio.timeout(10):
        while not carrier.dialled:  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)
    serving.cancel()


def test_granted_and_delivered_are_told_apart() -> None:
    stranded = BrokerAbilities(**{**vars(ABLE), "shared_on_a2a": False})
    rows = {row.name: row for row in ability_rows(stranded)}
    assert rows["shared_on_a2a"].mark == "no"
    assert "granted, but nothing is delivered" in rows["shared_on_a2a"].about
    refused = BrokerAbilities(**{**vars(stranded), "shared_on_a2a_granted": False})
    assert "granted" not in {row.name: row for row in ability_rows(refused)}["shared_on_a2a"].about
    assert {row.mark for row in ability_rows(ABLE)} == {"ok"}
