"""When an agent may be rung, and why: pure rules over the view. No wake without a new fact."""

from dataclasses import dataclass, replace

from agentorchestr.model.states import LEAD, SUPERVISOR
from agentorchestr.model.view import LeadEvent, SessionView, WorkerView

MAX_BELLS = 3
"""How often an agent is rung for the same cause before a person or the lead has to look."""
REMIND_AFTER_S = (0.5, 10.0, 30.0, 60.0)
"""How long an agent may stand idle before it is reminded the first, second … time, and then given up."""
RETRY_AFTER_S = (60.0, 300.0, 900.0, 3600.0)
"""How long an agent stands at a limit before it is asked to go on the first, second … time."""
AT_LIMIT = "at its limit"
GO_ON = "Your last turn ended at a limit. Go on where you stopped."


@dataclass(frozen=True)
class Bell:
    """A short line for an agent's composer. *why* is its cause, the same text for the same cause."""

    worker_id: str
    why: str
    line: str
    reminds: bool = False
    """It tells nothing new, only that something is still to be done."""
    message_ids: tuple[str, ...] = ()
    """The unread messages that whoever obeys the line will read."""


@dataclass(frozen=True)
class Stall:
    """Ringing did not help."""

    worker_id: str
    why: str


def due(view: SessionView, worker: WorkerView, *, tool_name: str, first_line: str) -> Bell | Stall | None:
    """What is due for *worker* now, None when nothing is.

    *tool_name* is what its model calls the tool that fetches: ``get_brief``, the lead's ``wait_for_any``.
    *first_line* is empty when its first prompt went in with the command line.
    """
    if not _rings(view, worker):
        return None
    if not worker.prompt_taken:
        bell = Bell(worker.worker_id, "first prompt", first_line) if first_line else None
    elif worker.is_lead:
        bell = _for_lead(view, tool_name)
    else:
        bell = _for_worker(view, worker, tool_name)
    if worker.limited:
        bell = _at_limit(worker, bell)
    if bell is None:
        return None
    if not bell.reminds:
        bell = replace(bell, message_ids=tuple(view.waiting.get(worker.worker_id, ())))
    if worker.bell_why == bell.why and worker.bells >= _tries(bell):
        return None if worker.stalled else Stall(worker.worker_id, _stall_text(worker, bell))
    return bell


def patience_s(worker: WorkerView, what: Bell | Stall, *, now: float) -> float:
    """How long *what* has to wait yet: news goes at once, a reminder only after a while of standing idle."""
    if isinstance(what, Bell) and not what.reminds:
        return 0.0
    tries = worker.bells if isinstance(what, Stall) or worker.bell_why == what.why else 0
    if worker.limited:
        # Nothing to wait for after the last one: the limit was met again, or the line brought no turn.
        waits = (*RETRY_AFTER_S, 0.0)
        return max(0.0, worker.since + waits[min(tries, len(RETRY_AFTER_S))] - now)
    return max(0.0, max(worker.since + REMIND_AFTER_S[min(tries, MAX_BELLS)], worker.quiet_until) - now)


def _tries(bell: Bell) -> int:
    return len(RETRY_AFTER_S) if bell.why == AT_LIMIT else MAX_BELLS


def _at_limit(worker: WorkerView, bell: Bell | None) -> Bell | None:
    """Ask it to go on, by and by; news waits until it does. A worker with nothing to do is left alone."""
    if bell is None and not worker.is_lead and worker.prompt_taken:
        return None
    line = bell.line if bell is not None and not worker.prompt_taken else GO_ON
    return Bell(worker.worker_id, AT_LIMIT, line, reminds=True)


def _rings(view: SessionView, worker: WorkerView) -> bool:
    """Whether the agent is there, idle, and nothing else has to come first."""
    there = worker.alive and not worker.killed and worker.ready
    return there and not view.ending and not (worker.in_turn or worker.asks)


def _for_lead(view: SessionView, tool_name: str) -> Bell | None:
    events = view.unread_events
    if events:
        told = "; ".join(_told(event) for event in events[-4:])
        return Bell(
            LEAD, f"events to {events[-1].seq}", f"News: {told}. Call {tool_name} to read it and go on."
        )
    if _team_works(view) or view.merges_open or view.verifies_open:
        return None
    return Bell(
        LEAD,
        f"nothing runs since {_last_act(view)}",
        "No worker is at work and the goal is not marked. Go on: spawn, merge, verify, "
        "or mark the goal as done or failed.",
        reminds=True,
    )


def _for_worker(view: SessionView, worker: WorkerView, tool_name: str) -> Bell | None:
    unread = view.unread_of(worker.worker_id)
    if unread:
        sender = unread[-1].sender if unread[-1].sender in (*view.workers, SUPERVISOR) else "another agent"
        text = f"A new message from {sender} waits. Call {tool_name} to read it and act on it."
        return Bell(worker.worker_id, f"message {unread[-1].message_id}", text)
    if worker.report is not None or _waits_for_answer(view, worker):
        return None
    began = "Your last turn failed" if worker.turn_error else "You stopped without a report"
    text = f"{began}. Go on with your task, or say how it stands: report done, blocked or failed."
    return Bell(worker.worker_id, "no report", text, reminds=True)


def _waits_for_answer(view: SessionView, worker: WorkerView) -> bool:
    """Whether its last question to the lead has no message after it: it was told that the answer wakes it."""
    newest_first = reversed(view.messages.values())
    last = next((m for m in newest_first if worker.worker_id in (m.sender, m.receiver)), None)
    return last is not None and last.question and last.sender == worker.worker_id


def _team_works(view: SessionView) -> bool:
    return any(not w.state.ended and not w.stalled for w in view.team)


def _last_act(view: SessionView) -> int:
    return max((event.seq for event in view.events), default=0)


def _told(event: LeadEvent) -> str:
    """An event in a few words of ours; what an agent wrote is never typed into another's composer."""
    if event.merge is not None:
        return f"merge of {event.worker_id}: {event.merge.result}"
    if event.verdict is not None:
        return f"checks: {event.verdict.outcome}"
    return f"{event.worker_id} {event.kind}"


def _stall_text(worker: WorkerView, bell: Bell) -> str:
    if worker.limited:
        return f"still at its limit, asked {worker.bells} times to go on"
    if worker.is_lead:
        return f"the lead does not act on: {bell.why}"
    if not worker.prompt_taken:
        return "its first prompt never began a turn"
    return f"idle without a report, reminded {worker.bells} times"
