"""The verbs of lead and workers on a real journal; nothing is spawned here."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from agentorchestr.clock import Clock
from agentorchestr.errors import ToolRefused
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind, MergeResult, Report
from agentorchestr.model.verdict import MergeAttempt
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.desk import Principal, PrincipalKind
from agentorchestr.supervisor.integration import Integration
from agentorchestr.supervisor.lead_verbs import SteeringVerbs

pytestmark = pytest.mark.anyio
FIRST = f.SessionCreated(
    "s1", "goal", "/p", "/p", "main", "c0", "a", ("a",), 2, (), 0.0, land=False, manual=False
)
LEAD = Principal("lead", PrincipalKind.LEAD, wait_limit_s=5.0)


def lives(worker_id: str, task_id: str = "") -> tuple[f.Fact, ...]:
    role = "lead" if worker_id == "lead" else "implementer"
    branch = f"agentorchestr/s1/{worker_id}"
    spawned = f.WorkerSpawned(worker_id, role, "a", "task", (), "", "", branch, "/nowhere", "n", task_id)
    claim = (f.TaskClaimed(task_id, worker_id),) if task_id else ()
    return (spawned, *claim, f.PaneOpened(worker_id, "%1", 7, 1.0))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Journal.create(tmp_path) as first:
        first.append([FIRST])
    with Journal.take_over(tmp_path) as journal:
        yield Book(journal)


class Gear:
    """As much of the session's gear as these verbs touch."""

    def __init__(self, book: Book) -> None:
        self.book, self.clock, self.session_id, self.roles = book, Clock(), "s1", {"implementer": None}

    @property
    def view(self) -> Any:
        return self.book.view


def steering(book: Book, *, held: str = "") -> Any:
    gear: Any = Gear(book)
    admission = SimpleNamespace(why_held=AsyncMock(return_value=held))
    spawner: Any = SimpleNamespace(
        intent=lambda order: lives(order.worker_id, order.task_id)[0], admission=admission
    )
    integration: Any = SimpleNamespace()
    return SteeringVerbs(gear, LEAD, spawner=spawner, integration=integration, start=lambda _: None)


async def test_a_question_ends_the_wait_for_its_worker_and_is_told_once(book: Book) -> None:
    await book.record(*lives("w1"), f.AgentSeen("w1", AgentEventKind.ACTIVE, "tool call"))
    lead = steering(book)
    waiting = asyncio.create_task(lead.wait_for_worker("w1", timeout_s=5))
    await book.record(f.MessageQueued("m1", "w1", "lead", "which port?", question=True))
    reply = await asyncio.wait_for(waiting, 4)
    assert [event["kind"] for event in reply["events"]] == ["question"]
    assert reply["events"][0]["text"] == "which port?"
    assert book.view.unread_events == ()


async def test_waiting_for_one_worker_leaves_the_news_of_others(book: Book) -> None:
    done = [f.WorkerReported(worker_id, Report.DONE, "ok", "tool") for worker_id in ("w1", "w2")]
    await book.record(*lives("w1"), *lives("w2"), *done)
    await steering(book).wait_for_worker("w2", timeout_s=1)
    assert [event.worker_id for event in book.view.unread_events] == ["w1"]


async def test_who_merges_a_worker_is_not_told_later_that_it_is_done(book: Book) -> None:
    done = [f.WorkerReported(worker_id, Report.DONE, "ok", "tool") for worker_id in ("w1", "w2")]
    await book.record(*lives("w1"), *lives("w2"), *done)
    await Queue(Gear(book)).ask_merge("w1", allow_test_changes=False)
    assert [event.worker_id for event in book.view.unread_events] == ["w2"]


TASKS = (
    f.TaskAdded("t1", "first", "", "", (), "lead"),
    f.TaskAdded("t2", "second", "", "", ("t1",), "lead"),
)


@pytest.mark.parametrize(
    "end", [f.WorkerKilled("w1", "lead"), f.PaneDied("w1", 0, ""), f.SpawnFailed("w1", "no disk")]
)
async def test_a_worker_that_is_gone_gives_its_task_back(book: Book, end: f.Fact) -> None:
    await book.record(*TASKS, *lives("w1", "t1"), end)
    assert book.view.tasks["t1"].owner == ""


async def test_a_task_is_done_when_its_worker_is_merged(book: Book) -> None:
    await book.record(*TASKS, *lives("w1", "t1"), f.WorkerReported("w1", Report.DONE, "ok", "tool"))
    assert book.view.tasks["t1"].report is None
    with pytest.raises(ToolRefused, match="waits for t1"):
        await spawn(steering(book), "t2")
    await book.record(f.MergeEnded(MergeAttempt("m1", "w1", MergeResult.MERGED)))
    assert book.view.tasks["t1"].report is Report.DONE
    await spawn(steering(book), "t2")


async def spawn(lead: Any, task_id: str) -> Any:
    return await lead.spawn_worker(
        "x", role="implementer", agent="", file_scope=(), criteria="", context="", task_id=task_id
    )


ASKED = 40


class Queue(Integration):
    """The queue alone: what a request would do is only counted, slowly."""

    def __init__(self, gear: Any) -> None:
        super().__init__(gear)
        self.carried: list[str] = []
        self.all_carried = asyncio.Event()

    async def _carry_out(self, fact: f.Fact, *, asked_at: float) -> None:  # noqa: ARG002 - as in the queue
        await asyncio.sleep(0.001)
        self.carried.append(getattr(fact, "verdict_id", ""))
        if len(self.carried) == ASKED:
            self.all_carried.set()


async def test_no_request_is_skipped_while_facts_pour_in(book: Book) -> None:
    queue = Queue(Gear(book))
    serving = asyncio.create_task(queue.serve())
    asked = []
    for _ in range(ASKED):
        asked.append(await queue.ask_verify("c"))
        await book.record(*(f.ProgressNoted("w1", "x") for _ in range(20)))
    await asyncio.wait_for(queue.all_carried.wait(), 20)
    serving.cancel()
    assert queue.carried == asked


async def test_a_worker_without_memory_for_it_is_queued_and_its_start_is_an_event(book: Book) -> None:
    await book.record(*lives("lead"))
    lead = steering(book, held="waits for memory: a needs about 500 MB")
    reply = await spawn(lead, "")
    assert reply["state"] == "queued"
    assert "500 MB" in reply["why"]
    assert book.view.workers["w1"].last_note == reply["why"]
    assert book.view.unread_events == ()
    await book.record(f.SpawnAdmitted("w1"))
    told = await lead.wait_for_any(timeout_s=1)
    assert [(event["kind"], event["worker_id"]) for event in told["events"]] == [("started", "w1")]
