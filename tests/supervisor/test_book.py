import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agentorchestr.errors import JournalError, StaleGeneration, ToolRefused
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Fact
from agentorchestr.model.view import SessionView
from agentorchestr.supervisor.book import Book

pytestmark = pytest.mark.anyio
FIRST = f.SessionCreated(
    "s1", "goal", "/p", "/p", "main", "c0", "", ("a",), 2, (), 0.0, land=False, manual=True
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path) as first:
        first.append([FIRST])
    with Journal.take_over(tmp_path) as taken:
        yield taken


async def test_of_many_who_decide_at_once_one_claims(journal: Journal) -> None:
    book = Book(journal)
    await book.record(f.TaskAdded("t1", "x", "", "", (), "lead"))

    def claim(worker_id: str, view: SessionView) -> Sequence[Fact]:
        if view.tasks["t1"].owner:
            raise ToolRefused("taken")
        return [f.TaskClaimed("t1", worker_id)]

    async def attempt(worker_id: str) -> bool:
        try:
            await book.decide(lambda view: claim(worker_id, view))
        except ToolRefused:
            return False
        return True

    results = await asyncio.gather(*(attempt(f"w{n}") for n in range(20)))
    assert sum(results) == 1
    assert sum(isinstance(item.fact, f.TaskClaimed) for item in journal.facts()) == 1


async def test_a_waiter_is_woken_by_the_fact_it_waits_for(journal: Journal) -> None:
    book = Book(journal)
    waiting = asyncio.create_task(book.wait_until(lambda view: view.stop_asked, timeout_s=10))
    await book.record(f.ProgressNoted("w1", "other"))
    assert not waiting.done()
    await book.record(f.StopAsked("me"))
    assert await waiting
    assert not await book.wait_until(lambda view: view.last_seq > 99, timeout_s=0.01)


async def test_a_cancelled_writer_leaves_view_and_disk_equal(journal: Journal) -> None:
    book = Book(journal)
    for _ in range(10):
        task = asyncio.create_task(book.record(f.ProgressNoted("w1", "x")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await book.record(f.StopAsked("me"))
    assert book.view.last_seq == len(journal.facts())


async def test_an_older_supervisor_is_refused(journal: Journal, tmp_path: Path) -> None:
    book = Book(journal)
    Journal.take_over(tmp_path).close()
    with pytest.raises(StaleGeneration):
        await book.record(f.StopAsked("me"))
    assert not book.view.stop_asked


async def test_a_fact_that_cannot_be_stored_is_no_fact_and_is_told(journal: Journal, tmp_path: Path) -> None:
    book = Book(journal)
    seq = book.view.last_seq
    told = asyncio.create_task(book.wait_until(lambda _: bool(book.trouble), timeout_s=10))
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(JournalError, match="full"):
        await book.record(f.NoteWritten("n1", "lead", "x" * 100_000))
    assert await told
    assert "full" in book.trouble
    assert (book.view.last_seq, book.view.notes) == (seq, ())
    journal._db.execute("PRAGMA max_page_count=1000000")
    await book.record(f.NoteWritten("n1", "lead", "x"))
    assert book.trouble == ""
    assert book.view.last_seq == seq + 1
