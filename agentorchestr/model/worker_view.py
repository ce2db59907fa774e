"""What the facts add up to for one lead or worker. Computed, never stored."""

from dataclasses import dataclass

from agentorchestr.model.states import LEAD, Report, WorkerState


@dataclass(frozen=True)
class Tokens:
    """Running totals from an agent's own transcript; ``known`` is False when there is none to read."""

    input: int = 0
    output: int = 0
    cached: int = 0
    known: bool = False


MOST_DEATHS = 3
"""How often in a row a program may end without getting anywhere before it is left alone."""


@dataclass(frozen=True)
class WorkerView:
    """One lead or worker, as far as the facts tell."""

    worker_id: str
    role: str
    agent: str
    task: str
    criteria: str
    context: str
    file_scope: tuple[str, ...]
    branch: str
    worktree: str
    nonce: str
    task_id: str
    spawned_at: float
    resume: str = ""
    state: WorkerState = WorkerState.STARTING
    since: float = 0.0
    """When the state was entered."""
    start_commit: str = ""
    pane_id: str = ""
    pid: int = 0
    pid_started: float = 0.0
    agent_session: str = ""
    ready: bool = False
    """Our MCP server was asked for its tools with this worker's token."""
    prompt_taken: bool = False
    """A hook or transcript showed that its first turn began."""
    in_turn: bool = False
    asks: str = ""
    """What it waits for a person to decide; empty when it does not."""
    report: Report | None = None
    reported_at: float = 0.0
    rounds: int = 0
    """How often it was given new work after its first task."""
    summary: str = ""
    last_note: str = ""
    turn_error: str = ""
    """Why its last turn failed, in the agent's words; empty after a turn that went well."""
    limited: bool = False
    wanted: bool = False
    """Its start, or its next one, was asked for and came to no end yet."""
    alive: bool = False
    killed: bool = False
    deaths: int = 0
    """How often in a row its program ended by itself without getting anywhere."""
    revived: int = 0
    """How often it was started again."""
    quarantined: str = ""
    """Why it is not started again; empty while it would be."""
    exit_status: int | None = None
    last_screen: str = ""
    merged: bool = False
    turns: int = 0
    bells: int = 0
    """Doorbells rung since it last did what one asked for."""
    bell_why: str = ""
    """What the last doorbell was for."""
    bell_open: bool = False
    """A doorbell was begun, and the line was not given yet."""
    held: str = ""
    """Why a doorbell that is due cannot be rung now; empty when none is held."""
    queued: str = ""
    """Why its start has to wait; empty when it does not."""
    quiet_until: float = 0.0
    """Until then it announced that nothing of it would be heard, say during a long run of tests."""
    stalled: bool = False
    """It stopped without a report and reminders did not help."""
    unclear: str = ""
    """Why nobody can tell what it does in this turn; empty while the witnesses agree."""
    tokens: Tokens = Tokens()

    @property
    def report_nonce(self) -> str:
        """What a report by flag or screen line must carry: another for each round, so none counts twice."""
        return f"{self.nonce}-{self.rounds}" if self.rounds else self.nonce

    @property
    def comes_back(self) -> bool:
        """Whether its program ended though nobody, nor the agent itself, wanted that: it is started again."""
        gone = bool(self.pid) and not (self.alive or self.wanted)
        left = self.exit_status == 0 and not self.is_lead
        meant = self.killed or bool(self.quarantined) or left
        return gone and not meant and self.deaths < MOST_DEATHS

    @property
    def reachable(self) -> bool:
        """Whether somebody reads a message for it: now, or once it is started again."""
        return not self.killed and (self.alive or self.wanted or self.comes_back)

    @property
    def is_lead(self) -> bool:
        """Whether this is the session's lead."""
        return self.worker_id == LEAD
