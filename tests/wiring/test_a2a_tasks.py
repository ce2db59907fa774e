"""Requests to one agent of a session: each its own, whatever the strangers who ask call their messages."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentorchestr.a2a.handler import Left, Moved
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import Message, Part, Role, Task, TaskStatus
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.mail import Address, DelegatedTask
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.membership import work_on_tasks
from agentorchestr.swarm.artifacts import Shelf
from agentorchestr.wiring.a2a_tasks import AgentTasks
from tests.supervisor.test_desks import FIRST, lives

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
