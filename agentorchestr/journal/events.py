"""Which facts the lead has to know of. Its waits return them, and they alone may wake it."""

from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import LEAD, AgentEventKind, WorkerState
from agentorchestr.model.view import LeadEvent, SessionView

SEEN_EVENTS = {AgentEventKind.ASKS: "asks", AgentEventKind.LIMITED: "limited"}


def lead_event(view: SessionView, item: Recorded) -> LeadEvent | None:
    """The event *item* means for the lead, *view* being the session before it; None when it means nothing."""
    match item.fact:
        case f.WorkerReported(worker_id=worker_id, report=report, summary=summary):
            return LeadEvent(item.seq, report.value, worker_id, summary)
        case f.SpawnFailed(worker_id=worker_id, why=why) if worker_id != LEAD:
            return LeadEvent(item.seq, "spawn_failed", worker_id, why)
        case f.SpawnAdmitted(worker_id=worker_id):
            return LeadEvent(item.seq, "started", worker_id, "there is memory for it now")
        case f.WorkerStalled(worker_id=worker_id, why=why) if worker_id != LEAD:
            return LeadEvent(item.seq, "idle", worker_id, why)
        case f.WorkerUnclear(worker_id=worker_id, why=why) if worker_id != LEAD:
            return LeadEvent(item.seq, "unknown", worker_id, why)
        case f.MessageQueued(receiver=receiver, sender=sender, body=body, question=True) if receiver == LEAD:
            return LeadEvent(item.seq, "question", sender, body)
        case f.MessageQueued(receiver=receiver, sender=sender, subject=subject) if receiver == LEAD:
            return LeadEvent(
                item.seq, "message", sender, f"{subject or 'a message'}: read it with read_inbox"
            )
        case f.MergeEnded(attempt=attempt):
            return LeadEvent(item.seq, "merge", attempt.worker_id, attempt.why, merge=attempt)
        case f.VerifyEnded(verdict=verdict):
            return LeadEvent(item.seq, "verify", "", verdict.outcome.value, verdict=verdict)
        case f.WorkerQuarantined(worker_id=worker_id, why=why) if worker_id != LEAD:
            return LeadEvent(item.seq, "dead", worker_id, why)
        case f.PaneDied() | f.AgentSeen():
            return _of_agent(view, item)
        case _:
            return None


def _of_agent(view: SessionView, item: Recorded) -> LeadEvent | None:
    fact = item.fact
    worker = view.workers.get(getattr(fact, "worker_id", ""))
    if worker is None or worker.is_lead:
        return None
    if isinstance(fact, f.PaneDied):
        # After its report, or by the lead's own order, an end is no news; after a fall it is started again.
        if worker.killed or worker.report is not None or fact.exit_status != 0:
            return None
        return LeadEvent(item.seq, "dead", worker.worker_id, "its program ended by itself, exit status 0")
    if isinstance(fact, f.AgentSeen) and fact.kind in SEEN_EVENTS:
        already = worker.state in {WorkerState.ASKS, WorkerState.LIMITED}
        return None if already else LeadEvent(item.seq, SEEN_EVENTS[fact.kind], worker.worker_id, fact.detail)
    return None
