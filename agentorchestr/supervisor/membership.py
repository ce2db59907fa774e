"""One agent on the bus: its exchange, who it sees, tasks it gave to others and tasks it was given."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agentorchestr.clock import Clock
from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import AgentCard, DelegatedTask
from agentorchestr.model.states import WorkerState
from agentorchestr.supervisor.answers import TASK_THREAD, follow, request, request_id
from agentorchestr.supervisor.book import Book
from agentorchestr.swarm.artifacts import Shelf
from agentorchestr.swarm.assignments import Assignments
from agentorchestr.swarm.delegation import Delegation
from agentorchestr.swarm.directory import Directory
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.fetching import Artifacts

logger = logging.getLogger(__name__)

NOTE_CHARS = 300


@dataclass(frozen=True)
class Member:
    """What an agent that is on the bus can do there."""

    exchange: Exchange
    directory: Directory
    given: Delegation
    taken: Assignments
    artifacts: Artifacts


@asynccontextmanager
async def join(
    transport: Transport, store: MailStore, card: AgentCard, *, shelf: Shelf, clock: Clock, names_bound: bool
) -> AsyncIterator[Member]:
    """Be on the bus as *card* says; parts that hear letters are made before the exchange is entered."""
    exchange = Exchange(
        transport, store, card.address, card=card, clock=clock, names_bound=names_bound, shelf=shelf
    )
    directory = Directory(exchange)
    given, taken = Delegation(exchange, directory), Assignments(exchange)
    artifacts = Artifacts(exchange, shelf)
    async with exchange, given, taken, artifacts:
        yield Member(exchange, directory, given, taken, artifacts)


async def work_on_tasks(book: Book, worker_id: str, taken: Assignments) -> None:
    """Put each task the agent was given to it as a request, and give back what came of it."""
    async with asyncio.TaskGroup() as tasks:
        async for task in taken.tasks():
            tasks.create_task(_work_on(book, worker_id, taken, task))


async def _work_on(book: Book, worker_id: str, taken: Assignments, task: DelegatedTask) -> None:
    sender = str(task.requester)
    message_id = request_id("task", worker_id, sender, task.task_id, task.attempt)
    await book.record(request(message_id, sender, worker_id, task.text, thread=TASK_THREAD, verified=True))
    async for now in follow(book, worker_id, message_id):
        if now.state is WorkerState.DONE:
            await _complete(taken, task, now.text)
        elif now.state.ended:
            await taken.fail(task.task_id, now.text)
        elif now.state is WorkerState.ASKS:
            await taken.beat(task.task_id, f"the agent asks: {now.text}"[:NOTE_CHARS])
        elif now.state is WorkerState.WORKING:
            await taken.beat(task.task_id, "the agent has read it")


async def _complete(taken: Assignments, task: DelegatedTask, text: str) -> None:
    try:
        await taken.complete(task.task_id, text)
    except UsageError as exc:
        logger.warning("result too large", extra={"detail": task.task_id})
        await taken.fail(task.task_id, str(exc))
