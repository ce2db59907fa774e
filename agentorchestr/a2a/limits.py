"""What a responder takes on, and when it speaks."""

from dataclasses import dataclass

HEARTBEAT_S = 10.0
"""A requester of the profile gives up on a stream after 30 s of silence."""


@dataclass(frozen=True)
class ResponderLimits:
    """What a responder takes on, and when it speaks."""

    max_running: int = 4
    max_open: int = 100
    """Running and waiting; a request above it is told to come back later."""
    heartbeat_s: float = HEARTBEAT_S
    hold_s: float = 2.0
    """How long a plain SendMessage waits for the end before it is answered with the task as it is."""
    keep_s: float = 7 * 24 * 3600.0
    """How long an ended task is remembered."""
    keep_tasks: int = 10_000
    """How many ended tasks are remembered."""


PROFILE_LIMITS = ResponderLimits()
