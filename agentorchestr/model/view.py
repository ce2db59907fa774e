"""What the facts add up to: a session as people and agents see it. Computed, never stored."""

from dataclasses import dataclass, field

from agentorchestr.model.facts import BrokerTried, MergeProven, SessionCreated
from agentorchestr.model.states import LEAD, MergeResult, MessageStep, Outcome, Report
from agentorchestr.model.verdict import MergeAttempt, Verdict
from agentorchestr.model.worker_view import MOST_DEATHS, Tokens, WorkerView

__all__ = [
    "MOST_DEATHS",
    "LeadEvent",
    "MessageView",
    "NoteView",
    "SessionView",
    "TaskView",
    "Tokens",
    "WorkerView",
    "integration_branch",
    "tmux_session_name",
    "worker_branch",
]


@dataclass(frozen=True)
class TaskView:
    """One task on the session's list."""

    task_id: str
    title: str
    detail: str
    criteria: str
    after: tuple[str, ...]
    author: str
    owner: str = ""
    report: Report | None = None


@dataclass(frozen=True)
class NoteView:
    """A note every agent of the session can read."""

    note_id: str
    at: float
    author: str
    text: str


@dataclass(frozen=True)
class MessageView:
    """A message and how far it got."""

    message_id: str
    at: float
    sender: str
    receiver: str
    body: str
    question: bool = False
    subject: str = ""
    priority: str = "normal"
    thread: str = ""
    answers: str = ""
    verified: bool = True
    reply_to: str = ""
    content_type: str = "text/plain"
    handed_at: float | None = None
    handed_by: str = ""
    """The channel that took the line which told of it."""
    turn_at: float | None = None
    turn_by: str = ""
    """What showed that a turn began after that: ``hook``, ``transcript`` …"""
    read_at: float | None = None
    acted_at: float | None = None
    acted_by: str = ""
    """``answer`` or ``report``."""
    again: bool = False
    """A reply that held it may have been lost: its reader may know it."""

    @property
    def step(self) -> MessageStep:
        """How far it got; a later step implies the earlier ones."""
        if self.acted_at is not None:
            return MessageStep.ACTED
        if self.read_at is not None:
            return MessageStep.READ
        if self.turn_at is not None:
            return MessageStep.TURN_STARTED
        return MessageStep.QUEUED if self.handed_at is None else MessageStep.HANDED


@dataclass(frozen=True)
class LeadEvent:
    """Something the lead has to know of: what wakes it and what its waits return.

    *kind*: done, blocked, failed, dead, asks, limited, idle, unknown, question, message, merge, verify,
    spawn_failed, started.
    """

    seq: int
    kind: str
    worker_id: str
    text: str
    merge: MergeAttempt | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class SessionView:
    """A whole session. The dicts are owned by the reducer: read, never write."""

    created: SessionCreated
    created_at: float
    generation: int = 0
    supervisor_pid: int = 0
    supervisor_started: float = 0.0
    port: int = 0
    last_seq: int = 0
    last_at: float = 0.0
    """When the last fact was recorded."""
    limit_s: float = 0.0
    """The time limit; 0: none."""
    limit_from: float = 0.0
    """From when it counts: time in which nobody looked after the session is left out."""
    workers: dict[str, WorkerView] = field(default_factory=dict)
    """By worker id, the lead included, in order of spawning."""
    tasks: dict[str, TaskView] = field(default_factory=dict)
    notes: tuple[NoteView, ...] = ()
    messages: dict[str, MessageView] = field(default_factory=dict)
    waiting: dict[str, dict[str, None]] = field(default_factory=dict)
    """Ids of unread messages by receiver, oldest first."""
    unacted: dict[str, dict[str, None]] = field(default_factory=dict)
    """Ids of messages by receiver that were read and neither answered nor followed by a report."""
    merges: tuple[MergeAttempt, ...] = ()
    merges_open: dict[str, str] = field(default_factory=dict)
    """Merges asked for and not ended: merge id to worker id."""
    merges_proven: dict[str, MergeProven] = field(default_factory=dict)
    """Of these, the ones whose move of the integration branch was begun."""
    verdicts: tuple[Verdict, ...] = ()
    verifies_open: tuple[str, ...] = ()
    events: tuple[LeadEvent, ...] = ()
    events_read: int = 0
    """The lead was given all events up to this sequence number."""
    events_told: frozenset[int] = frozenset()
    """Later ones that it was given out of turn, by the tool that caused them."""
    events_again: frozenset[int] = frozenset()
    """Of these two, the ones whose reply may have been lost: unread again."""
    goal_marked: Outcome | None = None
    goal_summary: str = ""
    unverified_reason: str = ""
    stop_asked: bool = False
    pause_asked: bool = False
    tmux_lost: bool = False
    """The tmux session ended under the agents, and they with it."""
    landed: str = ""
    off_bus: str = ""
    """Why agents of this session cannot write to others outside it; empty when they can."""
    broker_tried: BrokerTried | None = None
    """What the broker that was named can do; None before that is known, and for the private one."""
    landing_problem: str = ""
    """Why ``--land`` could not be done."""
    outcome: Outcome | None = None
    """Set when the session is over, or paused."""
    ended_at: float | None = None
    end_summary: str = ""

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.created.session_id

    @property
    def integration_branch(self) -> str:
        """The branch that receives what was verified."""
        return integration_branch(self.session_id)

    @property
    def lead(self) -> WorkerView | None:
        """The lead, once it was asked for."""
        return self.workers.get(LEAD)

    @property
    def unread_events(self) -> tuple[LeadEvent, ...]:
        """What the lead was not given yet."""
        told, again = self.events_told, self.events_again
        return tuple(
            event
            for event in self.events
            if event.seq in again or (event.seq > self.events_read and event.seq not in told)
        )

    @property
    def ending(self) -> bool:
        """Whether the session comes to its end or a pause: nobody is started, woken or rung any more."""
        return self.goal_marked is not None or self.stop_asked or self.pause_asked or self.tmux_lost

    @property
    def last_merged(self) -> str:
        """The commit the integration branch was moved to last; empty before the first merge."""
        merged = [attempt.commit for attempt in self.merges if attempt.result is MergeResult.MERGED]
        return merged[-1] if merged else ""

    def unread_of(self, worker_id: str) -> tuple[MessageView, ...]:
        """Messages that wait for *worker_id*, oldest first."""
        return tuple(self.messages[message_id] for message_id in self.waiting.get(worker_id, ()))

    @property
    def team(self) -> tuple[WorkerView, ...]:
        """The workers without the lead, in order of spawning."""
        return tuple(w for w in self.workers.values() if not w.is_lead)


def integration_branch(session_id: str) -> str:
    """The branch of *session_id* that receives what was verified."""
    return f"agentorchestr/{session_id}/integration"


def worker_branch(session_id: str, worker_id: str) -> str:
    """The branch of one worker."""
    return f"agentorchestr/{session_id}/{worker_id}"


def tmux_session_name(session_id: str) -> str:
    """The name of the tmux session that shows *session_id*."""
    return f"ao-{session_id}"
