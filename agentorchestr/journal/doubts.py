"""When nobody can tell what an agent does: the state ``unknown``, until it shows itself again."""

from dataclasses import replace

from agentorchestr.journal.workers import state_of
from agentorchestr.model import facts as f
from agentorchestr.model.states import WorkerState
from agentorchestr.model.view import WorkerView

OURS = (
    f.DoorbellRung,
    f.LineGiven,
    f.LineHeld,
    f.MessageQueued,
    f.MergeEnded,
    f.TokensCounted,
    f.WorkerStalled,
)
"""Facts of what others did to a worker: they tell nothing of what it does."""


def with_doubt(worker: WorkerView, fact: f.Fact) -> WorkerView:
    """*worker* with what *fact* says of how well it is known; whatever it does itself ends a doubt."""
    if isinstance(fact, f.WorkerUnclear):
        return replace(worker, unclear=fact.why, last_note=fact.why)
    return worker if isinstance(fact, OURS) or not worker.unclear else replace(worker, unclear="")


def doubted_state(worker: WorkerView) -> WorkerState:
    """The worker's state; a turn of which nobody can tell whether it goes on is ``unknown``."""
    state = state_of(worker)
    return WorkerState.UNKNOWN if state is WorkerState.WORKING and worker.unclear else state
