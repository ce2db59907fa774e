"""What a person asked for, after every check that can be made before anything starts."""

from dataclasses import dataclass, field
from pathlib import Path

from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.model.verdict import CheckCommand

A2A_HUB = "a2a-hub"


@dataclass(frozen=True)
class SessionRequest:
    """A session to start. Paths are absolute and exist; agent names are known and installed."""

    goal: str
    project: Path
    lead_agent: str
    """Empty in a manual session."""
    worker_agents: tuple[str, ...]
    """In order of preference; the first is the default for a spawn without a name."""
    base: str = ""
    """A branch or commit; empty: what is checked out."""
    include_dirty: bool = False
    git_init: bool = False
    max_workers: int = 4
    checks: tuple[CheckCommand, ...] = ()
    timeout_s: float = 0.0
    land: bool = False
    manual: bool = False
    role: str = "implementer"
    broker: str = ""
    """A broker's URL without any login; empty: this user's private one."""
    bus_compat: tuple[str, ...] = ()
    """Neighbours that are let in: ``swarmbus``, ``a2a-hub``."""
    setup: WorktreeSetup = field(default_factory=WorktreeSetup)
    """What is done in each worktree, as the person trusted it."""
    environment: dict[str, str] = field(default_factory=dict)
    """The person's environment, for the agents; kept in a private file, never in the journal."""
