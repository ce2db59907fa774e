"""Which of the many signals of agents are news, and their way into the journal."""

from agentorchestr.agents.signals import AgentSignal
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.supervisor.gear import Gear

DETAIL_CHARS = 500
SIGNS_OF_LIFE = frozenset({"hook", "processes"})


async def record_signal(gear: Gear, worker_id: str, signal: AgentSignal, *, source: str) -> None:
    """Store *signal* if it tells anything new of the worker."""
    fact = f.AgentSeen(worker_id, signal.kind, source, signal.detail[:DETAIL_CHARS], signal.agent_session)

    def choose(view: SessionView) -> list[f.AgentSeen]:
        worker = view.workers[worker_id]
        # A status file says "busy" all through a turn in which nothing moves.
        moves = signal.kind is AgentEventKind.ACTIVE and source in SIGNS_OF_LIFE and worker.stalled
        return [fact] if is_news(worker, signal) or (moves and worker.alive) else []

    await gear.book.decide(choose)


def is_news(worker: WorkerView, signal: AgentSignal) -> bool:
    """Whether this signal changes anything: agents tell the same thing many times a turn."""
    if not worker.alive:
        return False
    match signal.kind:
        case AgentEventKind.ACTIVE:
            return not worker.in_turn or bool(worker.asks or worker.unclear) or worker.limited
        case AgentEventKind.TURN_ENDED:
            return (worker.in_turn or bool(worker.asks)) and not signal.background
        case AgentEventKind.ASKS:
            return worker.asks != (signal.detail[:DETAIL_CHARS] or "a question")
        case AgentEventKind.TURN_FAILED:
            return worker.in_turn or not worker.turn_error
        case AgentEventKind.LIMITED:
            return not worker.limited
        case _:
            return True
