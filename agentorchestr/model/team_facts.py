"""What the team has in common: notes, tasks, messages, and who read them."""

from dataclasses import dataclass

from agentorchestr.model.states import Report


@dataclass(frozen=True)
class NoteWritten:
    """A note that every agent of the session can read."""

    note_id: str
    author: str
    text: str


@dataclass(frozen=True)
class TaskAdded:
    """A task on the session's list."""

    task_id: str
    title: str
    detail: str
    criteria: str
    after: tuple[str, ...]
    """Ids of tasks that have to be done first."""
    author: str


@dataclass(frozen=True)
class TaskClaimed:
    """A worker took a task; the first claim counts."""

    task_id: str
    worker_id: str


@dataclass(frozen=True)
class TaskClosed:
    """A task came to its end."""

    task_id: str
    report: Report


@dataclass(frozen=True)
class MessageQueued:
    """A message to an agent of this session; the body is fetched by its tool.

    *sender* is an agent of the session, ``supervisor``, or the whole address of an agent elsewhere.
    """

    message_id: str
    sender: str
    receiver: str
    body: str
    question: bool = False
    subject: str = ""
    priority: str = "normal"
    thread: str = ""
    answers: str = ""
    """The message that this one answers."""
    verified: bool = True
    """The sender's name was proven: by its token here, or by its login at the broker."""


@dataclass(frozen=True)
class DoorbellRung:
    """A short line is about to be typed into the agent's composer. *why* names the cause.

    What proves it is the next ``AgentSeen`` of kind ``prompt_taken``.
    """

    worker_id: str
    why: str


@dataclass(frozen=True)
class MessagesRead:
    """The agent fetched these messages by its tool: the read receipt."""

    worker_id: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True)
class EventsRead:
    """The lead was given all events up to this sequence number, and those in *told*."""

    worker_id: str
    up_to: int = 0
    told: tuple[int, ...] = ()
