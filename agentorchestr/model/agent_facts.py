"""What was observed of one lead or worker."""

from dataclasses import dataclass

from agentorchestr.model.states import AgentEventKind, Report


@dataclass(frozen=True)
class WorkerSpawned:
    """A lead or worker was asked for. The brief itself is a private file in the session's folder."""

    worker_id: str
    role: str
    agent: str
    task: str
    file_scope: tuple[str, ...]
    criteria: str
    context: str
    branch: str
    worktree: str
    nonce: str
    task_id: str = ""
    resume: str = ""
    """The agent's own id of the conversation to go on with, if its transcript is there."""


@dataclass(frozen=True)
class WorktreeReady:
    """The worker's worktree stands, at *start_commit*."""

    worker_id: str
    start_commit: str


@dataclass(frozen=True)
class PaneOpened:
    """The agent's program was started in a pane (or as a plain child: ``pane_id`` empty)."""

    worker_id: str
    pane_id: str
    pid: int
    pid_started: float
    agent_session: str = ""
    """The session id we chose for the agent, when it lets us choose."""


@dataclass(frozen=True)
class AgentReady:
    """Our MCP server was asked for its tools with this worker's token."""

    worker_id: str
    client: str


@dataclass(frozen=True)
class AgentSeen:
    """A hook, status file or transcript told what the agent does."""

    worker_id: str
    kind: AgentEventKind
    source: str
    """``hook``, ``status file``, ``transcript``, ``tool call``, ``screen``."""
    detail: str = ""
    agent_session: str = ""


@dataclass(frozen=True)
class PaneDied:
    """The agent's program ended, or its pane is gone."""

    worker_id: str
    exit_status: int | None
    last_screen: str
    from_outside: bool = False
    """It went down with tmux, the machine or a pause: no fault of the agent's."""


@dataclass(frozen=True)
class WorkerReported:
    """A worker said how its task stands. *channel*: ``tool`` (also by command), ``flag``, ``sentinel``."""

    worker_id: str
    report: Report
    summary: str
    channel: str


@dataclass(frozen=True)
class SpawnFailed:
    """A worker could not be started; nothing of it was left behind."""

    worker_id: str
    why: str


@dataclass(frozen=True)
class SpawnHeld:
    """A worker was asked for and waits until there is memory for it."""

    worker_id: str
    why: str


@dataclass(frozen=True)
class SpawnAdmitted:
    """There is memory for a worker that had to wait; its start goes on."""

    worker_id: str


@dataclass(frozen=True)
class WorkerRevived:
    """A lead or worker whose program ended shall be started again, in its own worktree, on its own task."""

    worker_id: str
    resume: str = ""
    """The agent's own id of the conversation to go on with, if its transcript proves to be this worker's."""


@dataclass(frozen=True)
class WorkerQuarantined:
    """A lead or worker is not started again: its program ended too often without getting anywhere."""

    worker_id: str
    why: str


@dataclass(frozen=True)
class WorkerKilled:
    """Somebody ended a worker. Its branch stays."""

    worker_id: str
    by: str


@dataclass(frozen=True)
class ProgressNoted:
    """A lead or worker left a short note on how it goes."""

    worker_id: str
    text: str
    quiet_s: float = 0.0
    """How long it announced to be quiet from now on."""


@dataclass(frozen=True)
class WorkerStalled:
    """A worker stopped without a report, and reminding it did not help; the lead has to look."""

    worker_id: str
    why: str


@dataclass(frozen=True)
class WorkerUnclear:
    """It is in a turn, but the witnesses are silent for long, unreadable, or contradict one another."""

    worker_id: str
    why: str


@dataclass(frozen=True)
class TokensCounted:
    """Running totals of one agent, from its own transcript."""

    worker_id: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
