"""Every agent of a session as an A2A agent: a request becomes a message for it, its answer the task's end."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Never

from agentorchestr.a2a.background import Background
from agentorchestr.a2a.handler import Moved, Step, artifact, completed, rejected
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.states import INTERRUPTED, OF_WORKER, TaskState
from agentorchestr.a2a.store import FolderTaskStore, TaskStore
from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.a2a.tasks import Task
from agentorchestr.model import facts as f
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import Address
from agentorchestr.model.states import WorkerState
from agentorchestr.model.view import SessionView
from agentorchestr.paths import ensure_private
from agentorchestr.process import offload
from agentorchestr.supervisor.answers import A2A_THREAD, follow, request, request_id, standing
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.post import ORG, Share
from agentorchestr.swarm.artifacts import Shelf, packed, text_here

TOLD = {WorkerState.STARTING: "queued for {}", WorkerState.WORKING: "{} has read it"}


class AgentTasks:
    """Hands incoming tasks to one agent of the session, and its words back."""

    def __init__(self, book: Book, shelf: Shelf, worker_id: str) -> None:
        self._book = book
        self._shelf = shelf
        self._worker_id = worker_id

    async def start(self, task: Task) -> AsyncGenerator[Step]:
        """Queue the newest turn as a message; done when the agent answers it, or reports after reading it."""
        turn = task.turns[-1]
        message_id = self._message_id(task)
        if not self._book.view.workers[self._worker_id].alive:
            yield rejected("this agent has ended")
            return
        text = await offload(packed, self._shelf, turn.text)
        asked = request(
            message_id, f"a2a/{task.id}", self._worker_id, text, thread=A2A_THREAD, verified=False
        )
        await self._book.record(asked)
        async for step in steps_of_agent(self._book, self._shelf, self._worker_id, message_id):
            yield step

    async def cancel(self, task: Task) -> None:
        """Tell the agent that nobody waits for this any more."""
        await self._book.record(cancelled(task, self._worker_id, self._message_id(task)))

    def asks(self, task: Task) -> bool:
        """Whether the agent waits for the requester."""
        name = self._message_id(task)
        return name not in self._book.view.messages or asks_still(self._book.view, self._worker_id, name)

    def _message_id(self, task: Task) -> str:
        return request_id("a2a", self._worker_id, task.id, task.turns[-1].message_id)


async def steps_of_agent(book: Book, shelf: Shelf, worker_id: str, message_id: str) -> AsyncGenerator[Step]:
    """What comes of a request that was queued for an agent, as the states of the task."""
    async with aclosing(follow(book, worker_id, message_id)) as standings:
        async for now in standings:
            text = await offload(text_here, shelf, now.text) if now.answered else now.text
            if now.answered and now.state is WorkerState.DONE:
                yield artifact(text, name="answer")
                yield completed()
            elif standing(book.view, worker_id, message_id) == now:
                yield Moved(OF_WORKER[now.state], text or TOLD[now.state].format(worker_id))


def asks_still(view: SessionView, worker_id: str, message_id: str) -> bool:
    """Whether the agent waits for something that the requester has to say."""
    return OF_WORKER[standing(view, worker_id, message_id).state] is TaskState.INPUT_REQUIRED


async def carry_on(book: Book, responder: Responder, store: TaskStore, asks: Callable[[Task], bool]) -> Never:
    """Take up tasks that asked for something, when their agents go on by themselves."""
    while True:
        seq = book.view.last_seq
        for record in tuple(store.all()):
            if record.task.state in INTERRUPTED and not asks(record.task):
                responder.go_on(record.task.id)
        await book.next_after(seq)


def cancelled(task: Task, worker_id: str, message_id: str) -> f.MessageQueued:
    """What tells an agent that nobody waits for its answer to *message_id* any more."""
    body = f"The request {message_id} was cancelled by whoever made it. Leave it."
    note_id = f"cancel-{message_id}"[:64]
    return f.MessageQueued(note_id, f"a2a/{task.id}", worker_id, body, verified=False)


def share_with_a2a(book: Book, shelf: Shelf, folder: Path, session_id: str) -> Share:
    """One connection for an agent's mail and for its A2A tasks, which are kept in *folder*."""

    @asynccontextmanager
    async def share(line: Transport, worker_id: str) -> AsyncIterator[Transport]:
        board = Switchboard(line)
        mail, tasks = board.branch(), board.branch()
        store = FolderTaskStore(ensure_private(folder / worker_id))
        me = Address(ORG, session_id, worker_id)
        handler = AgentTasks(book, shelf, worker_id)
        async with (
            board,
            Responder(tasks, me, handler, store=store, resume=True) as responder,
            Background(carry_on(book, responder, store, handler.asks)),
        ):
            yield mail

    return share
