"""Which agents are started again, and which are left alone: pure rules over the view."""

from dataclasses import dataclass

from agentorchestr.model.states import Outcome
from agentorchestr.model.view import MOST_DEATHS, SessionView, WorkerView

PAUSE_S = 2.0
"""How much longer each further start of a program waits that ends again and again."""
LAST_LINES = 3


@dataclass(frozen=True)
class Revive:
    """Start it again after *pause_s*, in the conversation *resume*; empty: with a hand-over instead."""

    resume: str
    pause_s: float


@dataclass(frozen=True)
class Quarantine:
    """Leave it alone from now on."""

    why: str


def what_next(view: SessionView, worker: WorkerView) -> Revive | Quarantine | None:
    """What is to be done about *worker*; None when it lives, was ended on purpose, or is not needed now."""
    if view.ending or worker.killed or worker.quarantined or worker.alive or worker.wanted:
        return None
    if not worker.pid and not worker.is_lead:
        return None  # it was never started, and the lead was told why
    if worker.deaths >= MOST_DEATHS:
        return Quarantine(f"its program ended {worker.deaths} times without getting anywhere: {_why(worker)}")
    if worker.is_lead or (worker.comes_back and _is_needed(view, worker)):
        return Revive(_conversation(worker), PAUSE_S * max(0, worker.deaths - 1))
    return None


def _is_needed(view: SessionView, worker: WorkerView) -> bool:
    """Whether there is anything for it to do: a worker that has reported is idle until a message comes."""
    return worker.report is None or bool(view.unread_of(worker.worker_id))


def _conversation(worker: WorkerView) -> str:
    """Its own conversation; not the one that it was given last and that did not even come up."""
    never_came_up = worker.resume == worker.agent_session and not worker.ready and worker.deaths > 0
    return "" if never_came_up else worker.agent_session


def _why(worker: WorkerView) -> str:
    return (worker.summary if not worker.pid else "") or last_words(worker.last_screen) or "no reason seen"


def last_words(screen: str) -> str:
    """The last lines with text of *screen*: an agent that fell says why at its end, above empty lines."""
    lines = [line.strip() for line in screen.splitlines() if line.strip()]
    return " / ".join(lines[-LAST_LINES:])[-300:]


def may_resume(outcome: Outcome | None) -> bool:
    """Whether a session that came to this outcome can go on; one that came to none can."""
    return outcome in (None, Outcome.PAUSED)
