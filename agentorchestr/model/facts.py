"""The facts a journal stores: what was observed, of whom. Status is computed from them, never stored.

A fact's kind is its class name. Fields may be added with a default; none is ever renamed or removed,
since old journals hold them.
"""

from dataclasses import dataclass, field

from agentorchestr.model.agent_facts import (
    AgentReady,
    AgentSeen,
    PaneDied,
    PaneOpened,
    ProgressNoted,
    SpawnAdmitted,
    SpawnFailed,
    SpawnHeld,
    TokensCounted,
    WorkerKilled,
    WorkerQuarantined,
    WorkerReported,
    WorkerRevived,
    WorkerSpawned,
    WorkerStalled,
    WorkerUnclear,
    WorktreeReady,
)
from agentorchestr.model.broker import BrokerAbilities
from agentorchestr.model.session_facts import (
    GoalMarked,
    PauseAsked,
    SessionEnded,
    SessionResumed,
    StopAsked,
    TmuxLost,
)
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.model.team_facts import (
    DoorbellRung,
    EventsRead,
    EventsUnsure,
    LineGiven,
    LineHeld,
    MessageAnswered,
    MessageQueued,
    MessagesRead,
    NoteWritten,
    ReplyUnsure,
    TaskAdded,
    TaskClaimed,
    TaskClosed,
)
from agentorchestr.model.verdict import CheckCommand, MergeAttempt, Verdict

__all__ = [
    "AgentReady",
    "AgentSeen",
    "BrokerTried",
    "DoorbellRung",
    "EventsRead",
    "EventsUnsure",
    "Fact",
    "GoalMarked",
    "Landed",
    "LandingFailed",
    "LineGiven",
    "LineHeld",
    "MergeAsked",
    "MergeEnded",
    "MergeProven",
    "MessageAnswered",
    "MessageQueued",
    "MessagesRead",
    "NotOnBus",
    "NoteWritten",
    "PaneDied",
    "PaneOpened",
    "PauseAsked",
    "ProgressNoted",
    "Recorded",
    "ReplyUnsure",
    "SessionCreated",
    "SessionEnded",
    "SessionResumed",
    "SpawnAdmitted",
    "SpawnFailed",
    "SpawnHeld",
    "StopAsked",
    "SupervisorStarted",
    "TaskAdded",
    "TaskClaimed",
    "TaskClosed",
    "TmuxLost",
    "TokensCounted",
    "VerifyAsked",
    "VerifyEnded",
    "WorkCommitted",
    "WorkerKilled",
    "WorkerQuarantined",
    "WorkerReported",
    "WorkerRevived",
    "WorkerSpawned",
    "WorkerStalled",
    "WorkerUnclear",
    "WorktreeReady",
]


@dataclass(frozen=True)
class SessionCreated:
    """A person asked for something: all that is needed to carry it out, but no secret."""

    session_id: str
    goal: str
    project: str
    repository: str
    base_branch: str
    base_commit: str
    lead_agent: str
    """Empty in a manual session."""
    worker_agents: tuple[str, ...]
    max_workers: int
    checks: tuple[CheckCommand, ...]
    timeout_s: float
    """0: no limit."""
    land: bool
    manual: bool
    role: str = "implementer"
    """The role of a manual session's only worker."""
    broker: str = ""
    """The URL of the broker the person named; empty: this user's private one."""
    bus_compat: tuple[str, ...] = ()
    """Neighbours that are let in: ``swarmbus``, ``a2a-hub``."""
    setup: WorktreeSetup = field(default_factory=WorktreeSetup)
    """What the person trusted to be done in each worktree; the file it came from is not read again."""


@dataclass(frozen=True)
class SupervisorStarted:
    """A supervisor took over this session."""

    generation: int
    pid: int
    pid_started: float
    port: int


@dataclass(frozen=True)
class WorkCommitted:
    """What a worker had left uncommitted was committed to its branch."""

    worker_id: str
    commit: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class MergeAsked:
    """The lead asked to merge a worker; attempts run one after another."""

    merge_id: str
    worker_id: str
    allow_test_changes: bool


@dataclass(frozen=True)
class MergeProven:
    """A merge passed its checks, and the integration branch is about to move from *expected* to it."""

    attempt: MergeAttempt
    expected: str


@dataclass(frozen=True)
class MergeEnded:
    """An attempt to merge came to its end."""

    attempt: MergeAttempt


@dataclass(frozen=True)
class VerifyAsked:
    """The lead asked for a run of the checks on the integration tip."""

    verdict_id: str
    commit: str


@dataclass(frozen=True)
class VerifyEnded:
    """The checks were run on the integration tip."""

    verdict: Verdict


@dataclass(frozen=True)
class Landed:
    """The person's branch received the integration branch."""

    branch: str
    commit: str


@dataclass(frozen=True)
class NotOnBus:
    """Agents of this session cannot write to others outside it."""

    why: str


@dataclass(frozen=True)
class BrokerTried:
    """What the broker that the person named can do, tried when the session came to it."""

    broker: str
    abilities: BrokerAbilities | None
    """None: it could not be tried, for the reason *why*."""
    why: str = ""


@dataclass(frozen=True)
class LandingFailed:
    """``--land`` was asked for and could not be done; the result stays on the integration branch."""

    why: str


Fact = (
    SessionCreated
    | SupervisorStarted
    | WorkerSpawned
    | WorktreeReady
    | PaneOpened
    | AgentReady
    | AgentSeen
    | PaneDied
    | WorkerReported
    | SpawnFailed
    | SpawnHeld
    | SpawnAdmitted
    | WorkerKilled
    | WorkerRevived
    | WorkerQuarantined
    | WorkCommitted
    | ProgressNoted
    | NoteWritten
    | TaskAdded
    | TaskClaimed
    | TaskClosed
    | MessageQueued
    | DoorbellRung
    | LineGiven
    | LineHeld
    | MessagesRead
    | MessageAnswered
    | ReplyUnsure
    | EventsRead
    | EventsUnsure
    | MergeAsked
    | MergeProven
    | MergeEnded
    | VerifyAsked
    | VerifyEnded
    | GoalMarked
    | StopAsked
    | PauseAsked
    | SessionResumed
    | Landed
    | LandingFailed
    | NotOnBus
    | BrokerTried
    | WorkerStalled
    | WorkerUnclear
    | TokensCounted
    | TmuxLost
    | SessionEnded
)


@dataclass(frozen=True)
class Recorded:
    """A fact in its place: *seq* is 1, 2, 3 … within a session, *at* seconds since the epoch."""

    seq: int
    at: float
    generation: int
    fact: Fact
