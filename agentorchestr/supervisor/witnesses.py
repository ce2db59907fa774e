"""What may be concluded of a turn when hooks are silent: only what no other witness contradicts."""

from dataclasses import dataclass, replace
from enum import StrEnum

from agentorchestr.agents.screens import ScreenState
from agentorchestr.model.states import AgentEventKind
from agentorchestr.process import Activity

SILENT_S = 600.0
"""A turn without a sign for this long is looked at, whether or not somebody waits for its end."""
DOUBT_AFTER_S = 60.0
"""How long witnesses may contradict one another, or a screen stay unreadable."""
UNHEARD_STILL_S = 20.0
"""How long an agent without hooks has to stand still: it may only be waiting for its model."""
IDLE_CPU_SHARE = 0.1
"""An idle terminal program still blinks its cursor; one that works takes more than this of a core."""

ENDS = {
    ScreenState.READY: AgentEventKind.TURN_ENDED,
    ScreenState.FAILED: AgentEventKind.TURN_FAILED,
    ScreenState.LIMITED: AgentEventKind.LIMITED,
}
"""Screens on which nothing moves any more, and what the turn came to."""


@dataclass(frozen=True)
class Look:
    """An agent in a turn at one moment, hooks aside."""

    at: float
    """Monotonic seconds."""
    pid: int
    screen: ScreenState | None
    """None when it could not be read."""
    transcript_bytes: int = 0
    activity: Activity | None = None
    still_since: float | None = None
    """Since when its screen shows an end and nothing moved."""
    odd_since: float | None = None
    """Since when its witnesses contradict one another, or its screen cannot be read."""


class Finding(StrEnum):
    """What two looks amount to."""

    NOTHING = "nothing"
    GOES_ON = "the turn goes on"
    ENDED = "the turn ended"
    ASKS = "its screen shows a question"
    NOT_KNOWN = "its hooks are silent and its screen is not known"
    UNREADABLE = "its screen cannot be read"
    CONTRADICTED = "its screen shows no turn, but its programs or its transcript go on"


def compare(before: Look | None, now: Look, *, silent_s: float, still_s: float = 0.0) -> tuple[Finding, Look]:
    """What *now* means after *before*, and *now* as the look to compare with next time.

    The end of a turn takes two looks at a screen that says so, with no transcript grown and no program
    at work in between, and *still_s* seconds of that.
    """
    if before is not None and before.pid != now.pid:
        before = None
    if now.screen in ENDS:
        if before is None or before.screen is not now.screen:
            return Finding.NOTHING, now
        if _still(before, now):
            since = before.at if before.still_since is None else before.still_since
            ended = now.at - since >= still_s
            return (Finding.ENDED if ended else Finding.NOTHING), replace(now, still_since=since)
        return _odd(before, now, Finding.CONTRADICTED)
    if now.screen is None:
        return _odd(before, now, Finding.UNREADABLE)
    if now.screen is ScreenState.ASKS:
        asks = before is not None and before.screen is ScreenState.ASKS
        return (Finding.ASKS if asks else Finding.GOES_ON), now
    if now.screen is ScreenState.UNKNOWN:
        return (Finding.NOT_KNOWN if silent_s >= SILENT_S else Finding.NOTHING), now
    return Finding.GOES_ON, now


def _odd(before: Look | None, now: Look, finding: Finding) -> tuple[Finding, Look]:
    since = before.odd_since if before is not None and before.odd_since is not None else now.at
    return (finding if now.at - since >= DOUBT_AFTER_S else Finding.NOTHING), replace(now, odd_since=since)


def _still(before: Look, now: Look) -> bool:
    if now.transcript_bytes != before.transcript_bytes:
        return False
    if now.activity is None or before.activity is None:
        return False
    took_s = now.activity.cpu_s - before.activity.cpu_s
    return now.activity.pids == before.activity.pids and took_s <= IDLE_CPU_SHARE * (now.at - before.at)
