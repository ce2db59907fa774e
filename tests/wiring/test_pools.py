"""Requests to the pools of a session: to a worker that is free, to the next one, or to nobody."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agentorchestr.a2a.handler import Left, Moved, Step
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import Message, Part, Role, Task, TaskStatus
from agentorchestr.a2a.turns import POOL
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.mail import Address
from agentorchestr.model.states import AgentEventKind, Report
from agentorchestr.supervisor.book import Book
from agentorchestr.swarm.artifacts import Shelf
from agentorchestr.wiring.pools import PoolTasks, pool_card, pools_of
from tests.supervisor.test_desks import FIRST

pytestmark = pytest.mark.anyio
ASK = Message("m1", Role.USER, (Part(text="look at it"),))


def spawned(worker_id: str, role: str = "reviewer") -> tuple[f.Fact, ...]:
    branch = f"agentorchestr/s1/{worker_id}"
    return (
        f.WorkerSpawned(worker_id, role, "practice", "task", (), "", "", branch, "/nowhere", "n", ""),
        f.PaneOpened(worker_id, f"%{worker_id}", 7, 1.0),
        f.AgentReady(worker_id, "t"),
    )


def turn(worker_id: str) -> f.Fact:
    return f.AgentSeen(worker_id, AgentEventKind.ACTIVE, "hook")


def idle(worker_id: str) -> f.Fact:
    return f.AgentSeen(worker_id, AgentEventKind.TURN_ENDED, "hook")


def task(pool: str = "reviewer", number: int = 0, *more: Message) -> Task:
    name = f"6f1f9d0e-3c1b-4d7e-9a55-0d1e2f3a4b5{number}"
    metadata = {POOL: pool} if pool else None
    return Task(name, TaskStatus(TaskState.SUBMITTED), history=(ASK, *more), metadata=metadata)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Journal.create(tmp_path) as first:
        first.append([FIRST])
    with Journal.take_over(tmp_path) as journal:
        yield Book(journal)


@pytest.fixture
def pool(book: Book, tmp_path: Path) -> PoolTasks:
    return PoolTasks(book, Shelf(tmp_path / "artifacts"))


async def until_told(steps: AsyncIterator[Step], text: str) -> None:
    async with asyncio.timeout(10):
        async for step in steps:
            if isinstance(step, Moved) and text in step.text:
                return
    raise AssertionError(text)


async def rest(steps: AsyncIterator[Step]) -> list[str]:
    async with asyncio.timeout(10):
        return [step.artifact.text if isinstance(step, Left) else step.state.value async for step in steps]


@asynccontextmanager
async def asked(pool: PoolTasks, wanted: Task) -> AsyncIterator[AsyncIterator[Step]]:
    async with aclosing(pool.start(wanted)) as steps:
        yield steps


def letters(book: Book) -> list[tuple[str, str]]:
    return [(m.receiver, m.body) for m in book.view.messages.values()]


async def test_a_request_goes_to_the_worker_of_that_role_that_is_free(book: Book, pool: PoolTasks) -> None:
    await book.record(*spawned("w1", "tester"), *spawned("w2"), *spawned("w3"))
    await book.record(turn("w1"), idle("w1"), turn("w2"), turn("w3"), idle("w3"))
    async with asked(pool, task()) as steps:
        await until_told(steps, "queued for w3")
        assert letters(book) == [("w3", "look at it")]
        name = next(iter(book.view.messages))
        await book.record(
            f.MessagesRead("w3", (name,)), f.MessageQueued("a", "w3", "x", "fine", answers=name)
        )
        assert await rest(steps) == ["fine", "TASK_STATE_COMPLETED"]


async def test_it_waits_while_everybody_is_busy_and_each_gets_one(book: Book, pool: PoolTasks) -> None:
    await book.record(*spawned("w1"), turn("w1"))
    async with asked(pool, task(number=1)) as one, asked(pool, task(number=2)) as two:
        await until_told(one, "waiting for an idle reviewer")
        await until_told(two, "waiting for an idle reviewer")
        await book.record(idle("w1"))
        await until_told(one, "queued for w1")
        assert len(letters(book)) == 1, "a worker with a request at hand is not free"
        await book.record(*spawned("w2"), turn("w2"), idle("w2"))
        await until_told(two, "queued for w2")
    assert [receiver for receiver, _ in letters(book)] == ["w1", "w2"]


async def test_a_worker_that_reported_is_free_and_its_next_report_answers(
    book: Book, pool: PoolTasks
) -> None:
    await book.record(
        *spawned("w1"), turn("w1"), f.WorkerReported("w1", Report.DONE, "ok", "tool"), idle("w1")
    )
    async with asked(pool, task()) as steps:
        await until_told(steps, "queued for w1")
        await book.record(turn("w1"), f.MessagesRead("w1", tuple(book.view.messages)))
        await book.record(f.WorkerReported("w1", Report.DONE, "looked", "tool"))
        assert (await rest(steps))[-1] == "TASK_STATE_COMPLETED"


async def test_a_request_that_nobody_read_goes_to_another_when_its_worker_ends(
    book: Book, pool: PoolTasks
) -> None:
    await book.record(*spawned("w1"), turn("w1"), idle("w1"))
    before = task()
    async with asked(pool, before) as steps:
        await until_told(steps, "queued for w1")
    await book.record(f.PaneDied("w1", 1, ""), *spawned("w2"), turn("w2"), idle("w2"))
    async with asked(pool, before) as steps:
        await until_told(steps, "queued for w2")


async def test_after_a_restart_the_same_worker_has_it(book: Book, pool: PoolTasks, tmp_path: Path) -> None:
    await book.record(*spawned("w1"), *spawned("w2"), turn("w1"), idle("w1"))
    async with asked(pool, task()) as steps:
        await until_told(steps, "queued for w1")
    await book.record(turn("w2"), idle("w2"))
    said = Message("s1", Role.AGENT, (Part(text="queued for w1"),))
    again = PoolTasks(book, Shelf(tmp_path / "artifacts"))
    async with asked(again, task("reviewer", 0, said)) as steps:
        await until_told(steps, "queued for w1")
    assert len(letters(book)) == 1


async def test_cancelling_tells_the_worker_that_has_it(book: Book, pool: PoolTasks) -> None:
    await book.record(*spawned("w1"), turn("w1"))
    async with asked(pool, task()) as steps:
        await until_told(steps, "waiting")
        await pool.cancel(task())
        assert letters(book) == []
        await book.record(idle("w1"))
        await until_told(steps, "queued for w1")
        await pool.cancel(task())
    assert "was cancelled" in letters(book)[-1][1]


async def test_what_a_worker_asked_is_answered_to_it_and_meanwhile_it_may_have_other_work(
    book: Book, pool: PoolTasks
) -> None:
    await book.record(*spawned("w1"), turn("w1"), idle("w1"))
    async with asked(pool, task(number=1)) as steps:
        await until_told(steps, "queued for w1")
        [name] = book.view.messages
        question = f.MessageQueued("q", "w1", "x", "which one?", question=True, answers=name)
        await book.record(f.MessagesRead("w1", (name,)), question)
        await until_told(steps, "which one?")
    assert pool.asks(task(number=1))
    async with asked(pool, task(number=2)) as steps:
        await until_told(steps, "queued for w1")
    await book.record(*spawned("w2"), turn("w2"), idle("w2"))
    reply = Message("m2", Role.USER, (Part(text="the blue one"),))
    async with asked(pool, task("reviewer", 1, reply)) as steps:
        await until_told(steps, "queued for w1")
    assert letters(book)[-1] == ("w1", "the blue one")


@pytest.mark.parametrize(("name", "says"), [("dancer", "no dancer"), ("", "ask one of the pools")])
async def test_who_asks_for_nobody_is_told_which_pools_there_are(
    book: Book, pool: PoolTasks, name: str, says: str
) -> None:
    await book.record(*spawned("w1"), *spawned("w2", "tester"))
    async with asked(pool, task(name)) as steps:
        [step] = [step async for step in steps]
    assert isinstance(step, Moved)
    assert step.state is TaskState.REJECTED
    assert says in step.text
    assert "pool/practice, pool/reviewer, pool/tester" in step.text


async def test_the_card_shows_each_pool_with_its_topic(book: Book) -> None:
    await book.record(*spawned("w1"), *spawned("w2", "tester"), *spawned("lead", "lead"))
    me = Address("agentorchestr", "s1", "pool")
    card = pool_card(me, book.view, {"tester": "writes tests"})
    assert pools_of(book.view) == ("practice", "reviewer", "tester")
    assert [skill["id"] for skill in card["skills"]] == ["practice", "reviewer", "tester"]
    assert card["skills"][2]["description"] == "writes tests"
    (extension,) = card["capabilities"]["extensions"]
    assert extension["params"]["pools"]["tester"] == "$a2a/v1/request/agentorchestr/s1/pool/tester"


async def test_only_the_agent_that_was_asked_answers(book: Book, pool: PoolTasks) -> None:
    await book.record(*spawned("w1"), *spawned("w2", "tester"), turn("w1"), idle("w1"))
    async with asked(pool, task()) as steps:
        await until_told(steps, "queued for w1")
        name = next(iter(book.view.messages))
        for stranger in ("w2", "agentorchestr/local/eve"):
            await book.record(f.MessageQueued(f"by-{stranger[-2:]}", stranger, "w1", "forged", answers=name))
        await book.record(f.MessageQueued("a", "w1", "x", "fine", answers=name))
        assert "fine" in await rest(steps)


async def test_a_task_whose_id_begins_as_another_has_an_answer_of_its_own(
    book: Book, pool: PoolTasks
) -> None:
    await book.record(*spawned("w1"), *spawned("w2"), turn("w1"), idle("w1"), turn("w2"))
    long, short = replace(task(), id="t-1-1"), replace(task(), id="t")
    async with asked(pool, long) as one, asked(pool, short) as two:
        await until_told(one, "queued for w1")
        await until_told(two, "waiting for an idle reviewer")
