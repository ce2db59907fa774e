"""What agents send one another: addresses, letters, cards, delegated tasks."""

import re
from dataclasses import dataclass
from enum import StrEnum

ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
INLINE_BYTES = 64 * 1024
"""The largest body of a letter, as UTF-8; more goes by reference to an artifact."""
SUBJECT_CHARS = 200


@dataclass(frozen=True, order=True)
class Address:
    """An agent on the bus: organisation, unit (a session's id, or ``local``) and agent. Also its client id.

    Each part matches ``ID`` whole. Source: the A2A-over-MQTT profile 0.1, rules C2 and C3.
    """

    org: str
    unit: str
    agent: str

    def __post_init__(self) -> None:
        for part in (self.org, self.unit, self.agent):
            if ID.fullmatch(part) is None:
                raise ValueError(f"not an id of the bus: {part!r}")

    def __str__(self) -> str:
        return f"{self.org}/{self.unit}/{self.agent}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``org/unit/agent``. Raises ``ValueError``."""
        org, unit, agent = text.split("/") if text.count("/") == 2 else ("", "", text)  # noqa: PLR2004 - three parts
        return cls(org, unit, agent)


class LetterKind(StrEnum):
    """What a letter is for. Unknown kinds of a newer peer are kept as ``note``."""

    NOTE = "note"
    ASK = "ask"
    ANSWER = "answer"
    RECEIPT = "receipt"
    TASK = "task"
    TASK_UPDATE = "task_update"
    TASK_CANCEL = "task_cancel"


class LetterState(StrEnum):
    """How far a letter got, each step with its own evidence; a later one implies the earlier ones."""

    STORED = "stored"
    SENT = "sent"
    """The broker took it; that proves nothing about the receiver."""
    RECEIVED = "received"
    """The receiver's side has it on disk, by its own receipt."""
    HANDED = "handed"
    TURN_STARTED = "turn_started"
    READ = "read"
    ACTED = "acted"
    EXPIRED = "expired"
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self in {LetterState.ACTED, LetterState.EXPIRED, LetterState.REFUSED}


@dataclass(frozen=True)
class Letter:
    """One message. ``letter_id`` is unique for ever; a second arrival of the same has no effect."""

    letter_id: str
    sender: Address
    receiver: Address | None
    """None: everybody in reach."""
    body: str
    subject: str = ""
    kind: LetterKind = LetterKind.NOTE
    content_type: str = "text/plain"
    priority: str = "normal"
    """``low``, ``normal``, ``high``; open for others."""
    reply_to: Address | None = None
    thread: str = ""
    answers: str = ""
    """The letter this one answers or acknowledges."""
    created_at: float = 0.0
    expires_at: float = 0.0
    """0: never."""
    verified: bool = False
    """The broker bound the sender's name to its login. Never read from the wire."""


@dataclass(frozen=True)
class Standing:
    """How far a letter of ours got, and what the sender may want to know about it."""

    letter: Letter
    state: LetterState
    why: str = ""
    """Why it got no further, e.g. ``nobody there``; empty when nothing is wrong."""
    tries: int = 0
    next_try_at: float = 0.0
    """0: nothing is tried any more."""
    updated_at: float = 0.0


@dataclass(frozen=True)
class Arrived:
    """A letter on disk here. *row* grows with each arrival at this store."""

    row: int
    letter: Letter
    state: LetterState = LetterState.RECEIVED
    handled: bool = False


@dataclass(frozen=True)
class Skill:
    """Something an agent can do."""

    name: str
    description: str = ""


@dataclass(frozen=True)
class AgentCard:
    """Who an agent is and what it can do now. ``online`` is advice, never proof."""

    address: Address
    role: str = ""
    program: str = ""
    """The agent program, e.g. ``claude``."""
    description: str = ""
    skills: tuple[Skill, ...] = ()
    state: str = ""
    """``idle``, ``working`` … as in ``WorkerState``; empty when not told."""
    free_slots: int = 1
    host: str = ""
    instance: str = ""
    """Made new at each start: two of one name are told apart by it."""
    online: bool = True
    seen_at: float = 0.0


class DelegatedState(StrEnum):
    """The life of a delegated task. The last three are final."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"

    @property
    def final(self) -> bool:
        """Whether nothing changes it any more."""
        return self not in {DelegatedState.PENDING, DelegatedState.IN_PROGRESS}


@dataclass(frozen=True)
class DelegatedTask:
    """A task one agent gave another. *attempt* counts assignees; a result of an older attempt is refused."""

    task_id: str
    requester: Address
    capability: str
    text: str
    assignee: Address | None = None
    attempt: int = 0
    state: DelegatedState = DelegatedState.PENDING
    result: str = ""
    why: str = ""
    created_at: float = 0.0
    expires_at: float = 0.0
    updated_at: float = 0.0
