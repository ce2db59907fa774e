"""Requests to one agent of a session: each its own, whatever the strangers who ask call their messages."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentorchestr.a2a.handler import Left, Moved, Step
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import Message, Part, Role, Task, TaskStatus
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.mail import Address, DelegatedTask
from agentorchestr.model.states import AgentEventKind, Report
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.membership import work_on_tasks
from agentorchestr.supervisor.reading import take_unread
from agentorchestr.swarm.artifacts import Shelf
from agentorchestr.swarm.inprocess import InProcessTransport, LocalCarrier
from agentorchestr.wiring.a2a_tasks import AgentTasks, share_with_a2a
from tests.supervisor.test_desks import FIRST, lives
from tests.supervisor.test_mail_steps import desk_of

pytestmark = pytest.mark.anyio
LONG = "x" * 70


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Journal.create(tmp_path) as first:
        first.append([FIRST])
    with Journal.take_over(tmp_path) as journal:
        yield Book(journal)


async def queued(tasks: AgentTasks, task_id: str, message_id: str) -> None:
    said = Message(message_id, Role.USER, (Part(text=f"text of {task_id}"),))
    asked = Task(task_id, TaskStatus(TaskState.SUBMITTED), history=(said,))
    async with asyncio.timeout(10), aclosing(tasks.start(asked)) as steps:
        async for step in steps:
            if isinstance(step, Moved) and "queued for" in step.text:
                return
            assert not isinstance(step, Left)


async def test_two_strangers_who_call_their_messages_alike_are_two(book: Book, tmp_path: Path) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    one, two = (AgentTasks(book, Shelf(tmp_path / "artifacts"), name) for name in ("w1", "w2"))
    for tasks, task_id, message_id in (
        (one, "t1", "1"),
        (one, "t2", "1"),
        (two, "t1", "1"),
        (one, "t3", f"{LONG}a"),
        (one, "t4", f"{LONG}b"),
        (one, "t4", f"{LONG}b"),  # again after a restart
    ):
        await queued(tasks, task_id, message_id)
    got = [(m.receiver, m.body) for m in book.view.messages.values()]
    assert got == [
        ("w1", "text of t1"),
        ("w1", "text of t2"),
        ("w2", "text of t1"),
        ("w1", "text of t3"),
        ("w1", "text of t4"),
    ]


async def test_two_agents_are_given_tasks_of_one_id(book: Book) -> None:
    """Clients of a2a-hub choose the ids of their tasks."""
    await book.record(*lives("w1"), *lives("w2"))
    given = [
        ("w1", DelegatedTask("x" * 64, Address("agentorchestr", "local", "ann"), "", "first", None, 1)),
        ("w1", DelegatedTask("x" * 64, Address("agentorchestr", "local", "ann"), "", "again", None, 2)),
        ("w2", DelegatedTask("x" * 64, Address("agentorchestr", "local", "ben"), "", "other", None, 1)),
    ]

    async def one(task: DelegatedTask) -> Any:
        yield task

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        works = [
            group.create_task(work_on_tasks(book, worker_id, SimpleNamespace(tasks=lambda t=task: one(t))))  # type: ignore[arg-type]
            for worker_id, task in given
        ]
        while len(book.view.messages) < 3:
            await book.next_after(book.view.last_seq)
        for work in works:
            work.cancel()
    assert sorted((m.receiver, m.body) for m in book.view.messages.values()) == [
        ("w1", "again"),
        ("w1", "first"),
        ("w2", "other"),
    ]
    assert all(isinstance(fact.fact, f.MessageQueued) for fact in (await book.facts(after=0, limit=-1))[-3:])


async def moves(steps: AsyncIterator[Step]) -> AsyncIterator[tuple[str, str]]:
    async for step in steps:
        if isinstance(step, Moved):
            yield step.state.value.removeprefix("TASK_STATE_"), step.text
        else:
            yield "artifact", step.artifact.text


def said(message_id: str, text: str) -> Message:
    return Message(message_id, Role.USER, (Part(text=text),))


def asked_of(tasks: AgentTasks, *turns: Message) -> AsyncIterator[tuple[str, str]]:
    return moves(tasks.start(Task(TASK_ID, TaskStatus(TaskState.SUBMITTED), history=turns)))


TASK_ID = "6f1f9d0e-3c1b-4d7e-9a55-0d1e2f3a4b50"
FIRST_TURN, SECOND_TURN = said("1", "paint it"), said("2", "red")


async def test_a_task_waits_for_input_while_its_worker_asks_and_goes_on_with_the_next_turn(
    book: Book, tmp_path: Path
) -> None:
    await book.record(*lives("w1"))
    tasks = AgentTasks(book, Shelf(tmp_path / "artifacts"), "w1")
    async with asyncio.timeout(10):
        steps = asked_of(tasks, FIRST_TURN)
        assert await anext(steps) == ("SUBMITTED", "queued for w1")
        [one] = await take_unread(book, "w1")
        assert await anext(steps) == ("WORKING", "w1 has read it")
        await desk_of(book, "w1").send_message(
            one.sender, "which colour?", answers=one.message_id, question=True
        )
        assert await anext(steps) == ("INPUT_REQUIRED", "which colour?")
        steps = asked_of(tasks, FIRST_TURN, SECOND_TURN)
        assert await anext(steps) == ("SUBMITTED", "queued for w1")
        [two] = await take_unread(book, "w1")
        assert (two.body, two.sender) == ("red", one.sender)
        assert await anext(steps) == ("WORKING", "w1 has read it")
        await desk_of(book, "w1").send_message(two.sender, "painted", answers=one.message_id)
        assert [step async for step in steps] == [("artifact", "painted"), ("COMPLETED", "")]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ([f.AgentSeen("w1", AgentEventKind.ASKS, "hook", "may I?")], ("INPUT_REQUIRED", "may I?")),
        ([f.WorkerReported("w1", Report.BLOCKED, "no key", "tool")], ("INPUT_REQUIRED", "no key")),
        ([f.WorkerReported("w1", Report.DONE, "ok", "tool")], ("COMPLETED", "ok")),
        ([f.WorkerReported("w1", Report.FAILED, "no", "tool")], ("FAILED", "no")),
        ([f.WorkerKilled("w1", "lead")], ("FAILED", "the agent ended before it answered")),
    ],
)
async def test_a_task_follows_what_its_worker_does(
    book: Book, tmp_path: Path, facts: list[f.Fact], told: tuple[str, str]
) -> None:
    await book.record(*lives("w1"), f.WorkerReported("w1", Report.BLOCKED, "of before", "tool"))
    steps = asked_of(AgentTasks(book, Shelf(tmp_path / "artifacts"), "w1"), FIRST_TURN)
    async with asyncio.timeout(10):
        await anext(steps)
        await take_unread(book, "w1")
        assert await anext(steps) == ("WORKING", "w1 has read it")
        await book.record(*facts)
        assert await anext(steps) == told


async def test_a_task_goes_on_when_its_worker_does_before_the_requester_answers(
    book: Book, tmp_path: Path
) -> None:
    await book.record(*lives("w1"))
    ann, worker = Address("acme", "lab", "ann"), Address("agentorchestr", "s1", "w1")
    share = share_with_a2a(book, Shelf(tmp_path / "artifacts"), tmp_path / "a2a", "s1")
    carrier = LocalCarrier()
    async with asyncio.timeout(20), AsyncExitStack() as stack:
        near = await stack.enter_async_context(InProcessTransport(carrier, worker))
        await stack.enter_async_context(share(near, "w1"))
        far = await stack.enter_async_context(InProcessTransport(carrier, ann))
        requester = await stack.enter_async_context(Requester(far, ann))
        question = asyncio.create_task(requester.ask(worker, new_message("paint it")))
        await book.wait_until(lambda view: bool(view.unread_of("w1")), timeout_s=10)
        [one] = await take_unread(book, "w1")
        await book.record(f.AgentSeen("w1", AgentEventKind.ASKS, "hook", "may I?"))
        asked = await question
        assert asked.state is TaskState.INPUT_REQUIRED
        await book.record(f.AgentSeen("w1", AgentEventKind.ACTIVE, "hook"))
        await desk_of(book, "w1").send_message(one.sender, "painted", answers=one.message_id)
        while (task := await requester.get_task(worker, asked.id)).state is not TaskState.COMPLETED:
            continue
        assert [left.text for left in task.artifacts] == ["painted"]
