"""How a session goes, as a table to look at and as lines for a pipe."""

import time
from collections.abc import Iterator, Sequence

from agentorchestr.cli.text import clean, count, shorten, took
from agentorchestr.model.view import SessionView, WorkerView

HEADERS = ("worker", "role", "agent", "state", "since", "last note")
NOTE_CHARS = 100


def worker_rows(view: SessionView, *, now: float) -> list[tuple[str, ...]]:
    """Give one row for the lead and each worker; after the session's end, as they were then."""
    then = now if view.ended_at is None else view.ended_at
    return [
        (
            worker.worker_id,
            worker.role,
            worker.agent,
            _state(worker, over=view.outcome is not None),
            took(max(0.0, then - (worker.since or worker.spawned_at))),
            shorten(_note(worker), NOTE_CHARS),
        )
        for worker in view.workers.values()
    ]


def _state(worker: WorkerView, *, over: bool) -> str:
    # Nobody works in a session that is over, whatever the last fact about them was.
    state = "ended" if over and not worker.state.ended else worker.state.value
    return state + (", merged" if worker.merged else "")


def headline(view: SessionView, *, now: float) -> str:
    """Say in one line how far the session is."""
    merged = sum(worker.merged for worker in view.team)
    passed = took(max(0.0, now - view.created_at))
    return f"session {view.session_id}: {count(len(view.team), 'worker')}, {merged} merged, {passed}"


def changed_lines(old: SessionView | None, new: SessionView) -> Iterator[str]:
    """Give what changed between two looks at a session, for readers of a pipe."""
    stamp = time.strftime("%H:%M:%S")
    if new.off_bus and (old is None or not old.off_bus):
        yield f"{stamp}  {clean(new.off_bus)}"
    for worker in new.workers.values():
        before = old.workers.get(worker.worker_id) if old is not None else None
        if before is None or _shown(before) != _shown(worker):
            yield "  ".join(part for part in (stamp, *_shown(worker)) if part)
    merges = new.merges[len(old.merges) if old is not None else 0 :]
    for attempt in merges:
        files = count(len(attempt.files), "file") if attempt.files else ""
        words = (stamp, "merge", attempt.worker_id, attempt.result.value, files, clean(attempt.why))
        yield "  ".join(part for part in words if part)
    verdicts = new.verdicts[len(old.verdicts) if old is not None else 0 :]
    for verdict in verdicts:
        counts = ", ".join(run.counts for run in verdict.runs if run.counts)
        yield "  ".join(part for part in (stamp, "checks", verdict.outcome.value, counts) if part)


def _shown(worker: WorkerView) -> Sequence[str]:
    return (worker.worker_id, worker.role, worker.agent, _state(worker, over=False), _note(worker))


def _note(worker: WorkerView) -> str:
    if worker.asks:
        return clean(f"waits for you: {worker.asks}")
    return clean(worker.last_note or worker.summary)
