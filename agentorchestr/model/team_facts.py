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
    reply_to: str = ""
    """Who is to have the answer, when it is not the sender."""
    content_type: str = "text/plain"


@dataclass(frozen=True)
class DoorbellRung:
    """A short line is about to be given to the agent, by *channel*. *why* names the cause.

    It is the intent: ``LineGiven`` follows when it was taken, and the next ``AgentSeen`` shows the turn.
    """

    worker_id: str
    why: str
    channel: str = ""


@dataclass(frozen=True)
class LineGiven:
    """The line of the last doorbell was handed over: what *channel* says is the evidence.

    ``keys``, ``paste``: typed into a composer that was empty, and sent. ``queue``: the agent's queue took it.
    """

    worker_id: str
    why: str
    channel: str
    message_ids: tuple[str, ...] = ()
    """The messages it told of, unread then."""


@dataclass(frozen=True)
class LineHeld:
    """A doorbell is due and may not be rung now, for the reason *held*; it is rung once that has gone."""

    worker_id: str
    why: str
    held: str


@dataclass(frozen=True)
class MessagesRead:
    """The agent fetched these messages by its tool: the read receipt."""

    worker_id: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True)
class MessageAnswered:
    """The agent sent an answer to a message of somebody outside the session."""

    worker_id: str
    message_id: str


@dataclass(frozen=True)
class ReplyUnsure:
    """A supervisor ended while a reply with these messages was on its way: they count as unread again."""

    worker_id: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True)
class EventsRead:
    """The lead was given all events up to this sequence number, and those in *told*."""

    worker_id: str
    up_to: int = 0
    told: tuple[int, ...] = ()


@dataclass(frozen=True)
class EventsUnsure:
    """A supervisor ended while a reply with these events was on its way: they count as unread again."""

    worker_id: str
    seqs: tuple[int, ...]
