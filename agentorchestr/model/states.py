"""The states of workers and sessions, roles of principals, and the kinds of things agents do."""

from enum import StrEnum

LEAD = "lead"
"""The worker id of the lead."""
SUPERVISOR = "supervisor"
"""The sender of what we tell an agent ourselves."""
CONTROL = "control"
"""The principal of the person's own commands."""


class WorkerState(StrEnum):
    """What a worker is doing, as far as facts tell."""

    STARTING = "starting"
    WORKING = "working"
    IDLE = "idle"
    ASKS = "asks"
    LIMITED = "limited"
    DONE = "done"
    BLOCKED = "blocked"
    FAILED = "failed"
    DEAD = "dead"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected unless somebody acts."""
        return self in ENDED


ENDED = frozenset({WorkerState.DONE, WorkerState.BLOCKED, WorkerState.FAILED, WorkerState.DEAD})


class Outcome(StrEnum):
    """How a session ended. The values stand in journals: never rename one."""

    DONE = "done"
    FAILED = "failed"
    UNVERIFIED = "unverified"
    CANCELLED = "cancelled"
    PAUSED = "paused"

    @property
    def exit_code(self) -> int:
        """The exit code of the command that waited for the session."""
        return EXIT_CODES[self]


EXIT_CODES = {
    Outcome.DONE: 0,
    Outcome.FAILED: 2,
    Outcome.UNVERIFIED: 3,
    Outcome.CANCELLED: 4,
    Outcome.PAUSED: 4,
}
EXIT_USAGE = 1
EXIT_INTERRUPTED = 130


class Report(StrEnum):
    """What a worker says of its own task."""

    DONE = "done"
    BLOCKED = "blocked"
    FAILED = "failed"


class AgentEventKind(StrEnum):
    """What an agent was seen to do, whatever its own words for it are."""

    STARTED = "started"
    PROMPT_TAKEN = "prompt_taken"
    ACTIVE = "active"
    ASKS = "asks"
    TURN_ENDED = "turn_ended"
    TURN_FAILED = "turn_failed"
    LIMITED = "limited"
    ENDED = "ended"


class MessageStep(StrEnum):
    """How far a message of this session got, each step with its own evidence."""

    QUEUED = "queued"
    HANDED = "handed"
    TURN_STARTED = "turn_started"
    READ = "read"
    ACTED = "acted"


class MergeResult(StrEnum):
    """How one attempt to merge a worker ended."""

    MERGED = "merged"
    CONFLICT = "conflict"
    RED = "red"
    NOTHING = "nothing"
    REFUSED = "refused"
    ERROR = "error"


class CheckOutcome(StrEnum):
    """What our own run of the project's checks says."""

    GREEN = "green"
    RED = "red"
    NO_CHECKS = "no_checks"
    ERROR = "error"
