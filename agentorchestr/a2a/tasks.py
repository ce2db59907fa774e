"""The values of A2A 1.0 that travel: tasks, messages, parts, artifacts and updates of them.

Plain frozen values. Field names are those of the specification in snake case; ``codec`` writes them in the
camel case of its JSON.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar

from agentorchestr.a2a.states import TaskState

Json = dict[str, Any]


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


WIRE: Mapping[str, Any] = {"alias_generator": _camel, "extra": "ignore"}


class Role(StrEnum):
    """Who speaks."""

    UNSPECIFIED = "ROLE_UNSPECIFIED"
    USER = "ROLE_USER"
    AGENT = "ROLE_AGENT"

    @classmethod
    def _missing_(cls, value: object) -> "Role | None":
        return cls.__members__.get(str(value).upper().removeprefix("ROLE_"))


@dataclass(frozen=True)
class Part:
    """A piece of content: exactly one of text, raw (base64), url and data."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    text: str | None = None
    raw: str | None = None
    url: str | None = None
    data: Any = None
    metadata: Json | None = None
    filename: str = ""
    media_type: str = ""

    def __post_init__(self) -> None:
        if sum(content is not None for content in (self.text, self.raw, self.url, self.data)) != 1:
            raise ValueError("a part holds exactly one of text, raw, url and data")

    @classmethod
    def of_bytes(cls, content: bytes, *, media_type: str = "", filename: str = "") -> "Part":
        """A part that carries *content* itself."""
        return cls(raw=base64.b64encode(content).decode(), media_type=media_type, filename=filename)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    message_id: str
    role: Role
    parts: tuple[Part, ...]
    context_id: str = ""
    task_id: str = ""
    metadata: Json | None = None
    extensions: tuple[str, ...] = ()
    reference_task_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.message_id or not self.parts:
            raise ValueError("a message has an id and at least one part")

    @property
    def text(self) -> str:
        """The text parts, one after another."""
        return "".join(part.text or "" for part in self.parts)


@dataclass(frozen=True)
class TaskStatus:
    """Where a task stands since *timestamp* (UTC, with Z and milliseconds)."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    state: TaskState
    message: Message | None = None
    timestamp: str = ""


@dataclass(frozen=True)
class Artifact:
    """Something a task left behind. ``artifact_id`` is unique in its task."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    artifact_id: str
    parts: tuple[Part, ...]
    name: str = ""
    description: str = ""
    metadata: Json | None = None
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text parts, one after another."""
        return "".join(part.text or "" for part in self.parts)


@dataclass(frozen=True)
class Task:
    """A task with all that came of it so far."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    id: str
    status: TaskStatus
    context_id: str = ""
    artifacts: tuple[Artifact, ...] = ()
    history: tuple[Message, ...] = ()
    metadata: Json | None = None

    @property
    def state(self) -> TaskState:
        """Short for the status's state."""
        return self.status.state

    @property
    def turns(self) -> tuple[Message, ...]:
        """What the requester said, oldest first; the history also has what the agent said meanwhile."""
        return tuple(message for message in self.history if message.role is not Role.AGENT)


@dataclass(frozen=True)
class StatusUpdate:
    """A task moved, or still works."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    task_id: str
    context_id: str
    status: TaskStatus
    metadata: Json | None = None


@dataclass(frozen=True)
class ArtifactUpdate:
    """A task left something behind, whole or a piece of it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    task_id: str
    context_id: str
    artifact: Artifact
    append: bool = False
    last_chunk: bool = False
    metadata: Json | None = None


Update = Task | Message | StatusUpdate | ArtifactUpdate
"""One item of a stream."""


@dataclass(frozen=True)
class SendConfiguration:
    """How the requester wants to be answered."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    accepted_output_modes: tuple[str, ...] = ()
    return_immediately: bool = False
    history_length: int | None = None
    task_push_notification_config: Json | None = None


@dataclass(frozen=True)
class SendParams:
    """Parameters of SendMessage and SendStreamingMessage."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    message: Message
    configuration: SendConfiguration = field(default_factory=SendConfiguration)
    metadata: Json | None = None


def ends_stream(update: Update) -> bool:
    """Whether nothing follows *update* for this request."""
    match update:
        case Task() | StatusUpdate():
            return update.status.state.ends_stream
        case Message():
            return True
        case ArtifactUpdate():
            return False


def applied(task: Task, update: Update) -> Task:
    """*task* after *update*. A status message that is replaced moves into the history."""
    match update:
        case Task():
            return update
        case StatusUpdate():
            said = task.status.message
            history = task.history if said is None else (*task.history, said)
            return replace(task, status=update.status, history=history)
        case ArtifactUpdate():
            return replace(task, artifacts=_with_artifact(task.artifacts, update))
        case Message():
            return replace(task, history=(*task.history, update))


def _with_artifact(artifacts: tuple[Artifact, ...], update: ArtifactUpdate) -> tuple[Artifact, ...]:
    new = update.artifact
    old = next((one for one in artifacts if one.artifact_id == new.artifact_id), None)
    if old is None:
        return (*artifacts, new)
    if update.append:
        new = replace(old, parts=(*old.parts, *new.parts))
    return tuple(new if one is old else one for one in artifacts)
