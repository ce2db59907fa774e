"""The port between a responder and whoever does the work: a worker of a session, a program, a function."""

import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import Artifact, Json, Message, Part, Task


@dataclass(frozen=True)
class Moved:
    """The task is in *state* now; *text*, or a whole *message*, says more to whoever asked."""

    state: TaskState
    text: str = ""
    message: Message | None = None
    metadata: Json | None = None


@dataclass(frozen=True)
class Left:
    """The task left *artifact* behind; with *append* its parts follow those already there."""

    artifact: Artifact
    append: bool = False
    last_chunk: bool = True
    metadata: Json | None = None


Step = Moved | Left


class AgentHandler(Protocol):
    """Does the work of incoming tasks."""

    def start(self, task: Task) -> AsyncGenerator[Step]:
        """Work on *task* and tell each step. The newest turn is ``task.turns[-1]``.

        When the generator ends the task is completed, unless its last state was final or asks for something.
        ``start`` is called again for the same task when the requester went on after a question. An
        ``A2AError`` raised here is what the requester gets, and the task counts as rejected.
        """

    async def cancel(self, task: Task) -> None:
        """Stop the work on *task*; the iterator of ``start`` is closed afterwards.

        An ``A2AError`` raised here is what the requester gets, and the task goes on.
        """


def working(text: str = "") -> Moved:
    """The task goes on."""
    return Moved(TaskState.WORKING, text)


def completed(text: str = "") -> Moved:
    """The task is done."""
    return Moved(TaskState.COMPLETED, text)


def failed(text: str) -> Moved:
    """The task came to nothing."""
    return Moved(TaskState.FAILED, text)


def rejected(text: str) -> Moved:
    """The task is not taken."""
    return Moved(TaskState.REJECTED, text)


def asks(text: str) -> Moved:
    """The requester has to say more before the task goes on."""
    return Moved(TaskState.INPUT_REQUIRED, text)


def artifact(
    text: str, *, name: str = "", artifact_id: str = "", append: bool = False, last: bool = True
) -> Left:
    """A text that the task left behind, whole or (same *artifact_id*, *append*) a piece of one."""
    whole = Artifact(artifact_id or str(uuid.uuid4()), (Part(text=text),), name=name)
    return Left(whole, append=append, last_chunk=last)
