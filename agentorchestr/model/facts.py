"""The facts a journal stores: what was observed, of whom. Status is computed from them, never stored.

A fact's kind is its class name. Fields may be added with a default; none is ever renamed or removed,
since old journals hold them.
"""

from dataclasses import dataclass

from agentorchestr.model.states import AgentEventKind, Outcome, Report
from agentorchestr.model.verdict import CheckCommand, MergeAttempt, Verdict


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


@dataclass(frozen=True)
class SupervisorStarted:
    """A supervisor took over this session."""

    generation: int
    pid: int
    pid_started: float
    port: int


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


@dataclass(frozen=True)
class WorkerReported:
    """A worker said how its task stands. *channel*: ``tool``, ``command``, ``flag``, ``sentinel``."""

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
class WorkerKilled:
    """Somebody ended a worker. Its branch stays."""

    worker_id: str
    by: str


@dataclass(frozen=True)
class WorkCommitted:
    """What a worker had left uncommitted was committed to its branch."""

    worker_id: str
    commit: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class ProgressNoted:
    """A lead or worker left a short note on how it goes."""

    worker_id: str
    text: str


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
    """A message to an agent. *urgent* ones wake an idle agent; the body is fetched by its tool."""

    message_id: str
    sender: str
    receiver: str
    body: str
    question: bool = False


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
    """The lead was given all events up to this sequence number."""

    worker_id: str
    up_to: int


@dataclass(frozen=True)
class MergeAsked:
    """The lead asked to merge a worker; attempts run one after another."""

    merge_id: str
    worker_id: str
    allow_test_changes: bool


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
class GoalMarked:
    """The lead (or, without one, the supervisor) says that the goal is reached or cannot be."""

    outcome: Outcome
    summary: str
    unverified_reason: str = ""


@dataclass(frozen=True)
class StopAsked:
    """A person asked the session to stop."""

    by: str


@dataclass(frozen=True)
class Landed:
    """The person's branch received the integration branch."""

    branch: str
    commit: str


@dataclass(frozen=True)
class WorkerStalled:
    """A worker stopped without a report, and reminding it did not help; the lead has to look."""

    worker_id: str
    why: str


@dataclass(frozen=True)
class TokensCounted:
    """Running totals of one agent, from its own transcript."""

    worker_id: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int


@dataclass(frozen=True)
class SessionEnded:
    """The session is over: agents ended, clean worktrees removed."""

    outcome: Outcome
    summary: str


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
    | WorkerKilled
    | WorkCommitted
    | ProgressNoted
    | NoteWritten
    | TaskAdded
    | TaskClaimed
    | TaskClosed
    | MessageQueued
    | DoorbellRung
    | MessagesRead
    | EventsRead
    | MergeAsked
    | MergeEnded
    | VerifyAsked
    | VerifyEnded
    | GoalMarked
    | StopAsked
    | Landed
    | WorkerStalled
    | TokensCounted
    | SessionEnded
)


@dataclass(frozen=True)
class Recorded:
    """A fact in its place: *seq* is 1, 2, 3 … within a session, *at* seconds since the epoch."""

    seq: int
    at: float
    generation: int
    fact: Fact
