"""What happened to a session as a whole: it was paused, went on, lost its tmux, came to its end."""

from dataclasses import dataclass

from agentorchestr.model.states import Outcome


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
class PauseAsked:
    """A person asked the session to pause: agents end, worktrees stay, ``--resume`` goes on."""

    by: str


@dataclass(frozen=True)
class SessionResumed:
    """A person let a session go on that was paused, or whose supervisor was gone."""

    by: str
    timeout_s: float | None = None
    """A new time limit that counts from here; None: what was left of the old one."""


@dataclass(frozen=True)
class TmuxLost:
    """The tmux server or our tmux session is gone, and every agent with it: nothing can go on here."""


@dataclass(frozen=True)
class SessionEnded:
    """The session is over, or paused: agents ended; clean worktrees removed unless it is only paused."""

    outcome: Outcome
    summary: str
