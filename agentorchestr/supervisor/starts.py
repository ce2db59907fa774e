"""Look at agents that were started and took no prompt: a dialog, a refusal, or nothing at all."""

from agentorchestr.agents.screens import ScreenState, classify
from agentorchestr.agents.signals import AgentSignal
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import WorkerView
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.news import DETAIL_CHARS, record_signal

START_LOOK_S = 6.0
"""A start that takes longer is looked at: a dialog may stand on its screen."""
START_LIMIT_S = 90.0


def is_late(gear: Gear, worker: WorkerView, *, limit_s: float) -> bool:
    """Whether no prompt was taken for *limit_s* after its program began; its set-up may take any time."""
    began = max(worker.spawned_at, worker.pid_started)
    return not worker.prompt_taken and gear.clock.now() - began > limit_s


async def look_at_start(gear: Gear, worker: WorkerView, screen: str) -> None:
    """Tell of a start that leads to no turn, whatever the reason: nobody else would."""
    spec = gear.catalogue[worker.agent]
    late = is_late(gear, worker, limit_s=START_LIMIT_S)
    shown = next((line.strip() for line in reversed(screen.splitlines()) if line.strip()), "")
    seen: AgentSignal | None = None
    match classify(spec, screen.splitlines()):
        case ScreenState.ASKS:
            asked = AgentSignal(AgentEventKind.ASKS, f"a dialog at its start: {shown}")
            seen = None if worker.asks else asked
        case ScreenState.LIMITED:
            seen = AgentSignal(AgentEventKind.LIMITED, shown)
        case ScreenState.READY if worker.asks:
            seen = AgentSignal(AgentEventKind.TURN_ENDED, "its dialog is gone")
        case ScreenState.READY if spec.mcp is None and not worker.ready:
            await gear.book.record(f.AgentReady(worker.worker_id, "screen"))
        case ScreenState.BUSY if late or spec.hooks is None:
            # No hook tells of this turn; left alone, it would be taken for a start that failed.
            seen = AgentSignal(AgentEventKind.ACTIVE, "its screen is busy")
        case _ if late and not worker.stalled:
            why = f"no turn began after its start; its screen shows: {shown or 'nothing'}"
            await gear.book.record(f.WorkerStalled(worker.worker_id, why[:DETAIL_CHARS]))
    if seen is not None:
        await record_signal(gear, worker.worker_id, seen, source="screen")
