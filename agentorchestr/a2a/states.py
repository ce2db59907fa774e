"""The states of an A2A task, and what they are in our own words."""

from enum import StrEnum

from agentorchestr.model.states import WorkerState


class TaskState(StrEnum):
    """The life of an A2A task, as it stands on the wire. Names of A2A 0.3 are understood."""

    UNSPECIFIED = "TASK_STATE_UNSPECIFIED"
    SUBMITTED = "TASK_STATE_SUBMITTED"
    WORKING = "TASK_STATE_WORKING"
    COMPLETED = "TASK_STATE_COMPLETED"
    FAILED = "TASK_STATE_FAILED"
    CANCELED = "TASK_STATE_CANCELED"
    INPUT_REQUIRED = "TASK_STATE_INPUT_REQUIRED"
    REJECTED = "TASK_STATE_REJECTED"
    AUTH_REQUIRED = "TASK_STATE_AUTH_REQUIRED"

    @classmethod
    def _missing_(cls, value: object) -> "TaskState | None":
        name = str(value).upper().replace("-", "_").removeprefix("TASK_STATE_")
        return cls.__members__.get({"CANCELLED": "CANCELED"}.get(name, name))

    @property
    def terminal(self) -> bool:
        """Whether nothing changes the task any more."""
        return self in TERMINAL

    @property
    def ends_stream(self) -> bool:
        """Whether no more items follow for this request: ended, or waiting for the requester."""
        return self in TERMINAL or self in INTERRUPTED


TERMINAL = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED})
INTERRUPTED = frozenset({TaskState.INPUT_REQUIRED, TaskState.AUTH_REQUIRED})

OF_WORKER = {
    WorkerState.STARTING: TaskState.SUBMITTED,
    WorkerState.WORKING: TaskState.WORKING,
    WorkerState.IDLE: TaskState.WORKING,
    WorkerState.ASKS: TaskState.INPUT_REQUIRED,
    WorkerState.LIMITED: TaskState.WORKING,
    WorkerState.DONE: TaskState.COMPLETED,
    WorkerState.BLOCKED: TaskState.INPUT_REQUIRED,
    WorkerState.FAILED: TaskState.FAILED,
    WorkerState.DEAD: TaskState.FAILED,
    WorkerState.UNKNOWN: TaskState.WORKING,
}
"""What a task is told of the agent that works on it; what is unknown is not an end."""
