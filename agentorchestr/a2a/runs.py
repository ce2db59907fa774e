"""The tasks a responder works on: from the first turn to the end, each step stored before it is told."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.handler import AgentHandler, Left, Moved, Step
from agentorchestr.a2a.replies import ReplyPath, Stream, new_id, stamp
from agentorchestr.a2a.states import INTERRUPTED, TaskState
from agentorchestr.a2a.store import TaskRecord, TaskStore
from agentorchestr.a2a.tasks import (
    ArtifactUpdate,
    Message,
    Part,
    Role,
    StatusUpdate,
    Task,
    TaskStatus,
    applied,
    ends_stream,
)
from agentorchestr.a2a.waiting import within
from agentorchestr.clock import Clock
from agentorchestr.errors import OrchestrError

logger = logging.getLogger(__name__)

CANCEL_S = 10.0
"""How long a handler may take to stop; the task is cancelled then anyhow."""
PIECE_CHARS = 48 * 1024
"""A longer text goes out in pieces, so that a message stays under what every broker carries."""


@dataclass
class Run:
    """A task that is worked on now."""

    record: TaskRecord
    streams: list[Stream] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    work: "asyncio.Task[None] | None" = None
    cancelled: bool = False
    error: A2AError | None = None
    """What the requester is told instead of the state, when the handler refused the task."""
    paths: set[tuple[str, bytes]] = field(default_factory=set)
    """Who is answered, by topic and correlation."""

    @property
    def task(self) -> Task:
        """The task as it is now."""
        return self.record.task

    def hears(self, path: ReplyPath) -> bool:
        """Whether somebody is answered on *path* already; from now on somebody is."""
        key = (path.topic, path.correlation)
        known = key in self.paths
        self.paths.add(key)
        return known

    async def wait_ended(self) -> bool:
        """Wait until the task is over or asks for something."""
        return await self.ended.wait()


class Runs:
    """Starts handlers and makes of their steps what requesters see."""

    def __init__(
        self,
        handler: AgentHandler,
        store: TaskStore,
        *,
        clock: Clock,
        group: asyncio.TaskGroup,
        max_running: int,
        told: Callable[[StatusUpdate], None],
    ) -> None:
        self._handler = handler
        self._store = store
        self._clock = clock
        self._group = group
        self._slots = asyncio.Semaphore(max_running)
        self._told = told
        self._live: dict[str, Run] = {}

    def __len__(self) -> int:
        return len(self._live)

    def live(self, task_id: str) -> Run | None:
        """The run of a task that is worked on now."""
        return self._live.get(task_id.lower())

    def begin(self, record: TaskRecord) -> Run:
        """Store *record* and work on its task."""
        self._store.save(record)
        run = Run(record)
        self._live[record.task.id.lower()] = run
        run.work = self._group.create_task(self._work(run))
        return run

    def take_over(self, *, resume: bool) -> None:
        """Deal with what an earlier process left unfinished: work on it again, or call it failed."""
        for record in list(self._store.all()):
            if record.task.state.ends_stream:
                continue
            if resume:
                self.begin(record)
            else:
                lost = Run(record)
                self._live[record.task.id.lower()] = lost
                self._advance(lost, Moved(TaskState.FAILED, "the agent stopped before the task was done"))

    def go_on(self, task_id: str) -> None:
        """Work again on a task that asked for something, without a word from its requester."""
        record = self._store.load(task_id)
        if record is None or self.live(task_id) is not None or record.task.state not in INTERRUPTED:
            return
        update = StatusUpdate(
            task_id,
            record.task.context_id,
            TaskStatus(TaskState.WORKING, timestamp=stamp(self._clock.now())),
        )
        self.begin(replace(record, task=applied(record.task, update), items=record.items + 1))

    async def cancel(self, record: TaskRecord) -> None:
        """Stop a task that runs or waits for its requester.

        Raises ``A2AError`` when it is over, or when the handler cannot stop it; the task goes on then.
        """
        run = self.live(record.task.id)
        if run is None and not record.task.state.terminal:
            run = self._live[record.task.id.lower()] = Run(record)
        if run is None:
            raise _over()
        run.cancelled = True
        refused = await within(self._clock, CANCEL_S, self._stopped(run.task))
        if refused is not None and not run.ended.is_set():
            run.cancelled = False
            if run.work is None:
                del self._live[run.task.id.lower()]
            raise refused
        if not run.ended.is_set():
            if run.work is not None:
                run.work.cancel()
            self._advance(run, Moved(TaskState.CANCELED))
        elif run.task.state is not TaskState.CANCELED:
            raise _over()

    async def _stopped(self, task: Task) -> A2AError | None:
        """Have the handler stop; its refusal, if it refused."""
        (raised,) = await asyncio.gather(self._handler.cancel(task), return_exceptions=True)
        if isinstance(raised, A2AError):
            return raised
        if raised is not None:
            logger.warning("cancelling failed", extra={"reason": type(raised).__name__})
        return None

    async def _work(self, run: Run) -> None:
        # A handler is somebody else's code: whatever it raises ends its task and nothing more.
        (raised,) = await asyncio.gather(self._follow(run), return_exceptions=True)
        if isinstance(raised, A2AError) and not run.ended.is_set():
            run.error = raised
            self._advance(run, Moved(TaskState.REJECTED, str(raised)))
        elif isinstance(raised, Exception) and not run.ended.is_set():
            logger.error("task failed", exc_info=raised, extra={"task_id": run.task.id})
            why = str(raised) if isinstance(raised, OrchestrError) else type(raised).__name__
            self._advance(run, Moved(TaskState.FAILED, f"the agent failed: {why}"))

    async def _follow(self, run: Run) -> None:
        async with self._slots, aclosing(self._handler.start(run.task)) as steps:
            async for step in steps:
                self._advance(run, step)
                if run.ended.is_set():
                    return
        if not run.cancelled:
            self._advance(run, Moved(TaskState.COMPLETED))

    def _advance(self, run: Run, step: Step) -> None:
        if run.ended.is_set():
            return
        for update in self._updates(run.task, step):
            record, now = run.record, self._clock.now()
            run.record = replace(
                record, task=applied(record.task, update), items=record.items + 1, updated_at=now
            )
            if isinstance(update, StatusUpdate) or update.last_chunk:
                self._store.save(run.record)
            for stream in run.streams:
                stream.tell(run.error or update, run.record.items)
            if isinstance(update, StatusUpdate):
                self._told(update)
            if ends_stream(update):
                del self._live[run.task.id.lower()]
                run.ended.set()

    def _updates(self, task: Task, step: Step) -> Iterator[StatusUpdate | ArtifactUpdate]:
        match step:
            case Moved(state, text, said, metadata):
                if text and said is None:
                    said = Message(new_id(), Role.AGENT, (Part(text=text),))
                if said is not None:
                    said = replace(said, context_id=task.context_id, task_id=task.id)
                status = TaskStatus(state, said, stamp(self._clock.now()))
                yield StatusUpdate(task.id, task.context_id, status, metadata)
            case Left():
                yield from _pieces(task, step)


def _over() -> A2AError:
    return A2AError(Fault.TASK_NOT_CANCELABLE, "the task is over")


def _pieces(task: Task, left: Left) -> Iterator[ArtifactUpdate]:
    whole = ArtifactUpdate(
        task.id, task.context_id, left.artifact, left.append, left.last_chunk, left.metadata
    )
    parts = left.artifact.parts
    if len(parts) != 1 or parts[0].text is None or len(parts[0].text) <= PIECE_CHARS:
        yield whole
        return
    text = parts[0].text
    for start in range(0, len(text), PIECE_CHARS):
        part = replace(parts[0], text=text[start : start + PIECE_CHARS])
        yield replace(
            whole,
            artifact=replace(left.artifact, parts=(part,)),
            append=left.append or start > 0,
            last_chunk=left.last_chunk and start + PIECE_CHARS >= len(text),
        )
