"""Whether a session can go on, and why not."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Resumable:
    """What ``--resume`` would say of a session. *why* is a short clause, for a person."""

    ok: bool
    why: str


class Resumed(StrEnum):
    """What came of asking a session to go on."""

    STARTED = "started"
    """It has a new supervisor."""
    RUNNING = "running"
    """Its supervisor lives: there is nothing to resume."""
    ELSEWHERE = "elsewhere"
    """Another command starts or resumes it at this moment."""
