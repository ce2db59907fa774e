"""What a message for a task means: a new task, the same request again, or the next turn of a conversation."""

from dataclasses import replace

from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.replies import new_id, stamp, submitted
from agentorchestr.a2a.runs import Run, Runs
from agentorchestr.a2a.states import INTERRUPTED, TaskState
from agentorchestr.a2a.store import TaskRecord
from agentorchestr.a2a.tasks import Message, TaskStatus
from agentorchestr.clock import Clock

ASKER = "a2a-ao-asker"
"""In a task's metadata: whose reply topic its request named. That agent, and no other, reads the answers."""

POOL = "a2a-ao-pool"
"""In a task's metadata: the pool whose request topic its request came on."""


class Turns:
    """Turns messages into runs."""

    def __init__(self, runs: Runs, *, clock: Clock, max_open: int) -> None:
        self._runs = runs
        self._clock = clock
        self._max_open = max_open

    def first(self, message: Message, asker: str, *, pool: str = "") -> Run:
        """Begin the new task of *message*, asked of *pool*. Raises ``A2AError`` for too much to do."""
        if len(self._runs) >= self._max_open:
            raise A2AError(Fault.RESPONDER_UNAVAILABLE, "this agent has more than enough to do")
        now = self._clock.now()
        context_id = message.context_id or new_id()
        said = replace(message, context_id=context_id)
        task = replace(
            submitted(message.task_id, context_id, at=now),
            history=(said,),
            metadata={name: value for name, value in ((ASKER, asker), (POOL, pool)) if value} or None,
        )
        return self._runs.begin(
            TaskRecord(task, (message.message_id,), asker, created_at=now, updated_at=now)
        )

    def next(self, record: TaskRecord, message: Message) -> Run | None:
        """The run of a known task after *message*; None when this is a retry and nothing runs.

        The same message id is a retry, another one is a new turn. Raises ``A2AError`` when none is wanted.
        """
        task = record.task
        if message.context_id and message.context_id != task.context_id:
            raise A2AError(Fault.INVALID_PARAMS, "message.contextId: the task belongs to another context")
        run = self._runs.live(task.id)
        if message.message_id in record.message_ids:
            return run
        if run is not None or task.state not in INTERRUPTED:
            why = "the task is over" if task.state.terminal else "the task asks for nothing now"
            raise A2AError(Fault.UNSUPPORTED_OPERATION, why)
        status = TaskStatus(TaskState.SUBMITTED, timestamp=stamp(self._clock.now()))
        history = (*task.history, *([task.status.message] if task.status.message else []))
        task = replace(task, status=status, history=(*history, replace(message, context_id=task.context_id)))
        ids = (*record.message_ids, message.message_id)
        return self._runs.begin(replace(record, task=task, message_ids=ids, items=record.items + 1))
