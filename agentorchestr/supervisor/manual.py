"""A session without a lead: one worker, merged and verified by rule."""

from agentorchestr.model import facts as f
from agentorchestr.model.states import CheckOutcome, MergeResult, Outcome, Report, WorkerState
from agentorchestr.model.view import SessionView
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.integration import Integration

ATTEMPTS = 4
"""How often its work is tried before the session ends as failed."""
WORKER = "w1"


async def steer(gear: Gear, integration: Integration, *, comes_back: bool) -> None:
    """Merge the worker whenever it reports done, until the result stands; then mark the goal.

    *comes_back*: its program is started again when it falls; otherwise its end is the end of it.
    A role that only reads has nothing to merge: its report is the result.
    """
    role = gear.roles.get(gear.created.role)
    reads_only = role is not None and not role.may_edit
    while gear.view.goal_marked is None:
        seq = gear.view.last_seq
        view = gear.view
        mark = judged(view, reads_only=reads_only, comes_back=comes_back)
        if mark is not None:
            await gear.book.record(mark)
        elif not reads_only and wants_merge(view):
            await integration.ask_merge(WORKER, allow_test_changes=True)
        await gear.book.next_after(seq)


def wants_merge(view: SessionView) -> bool:
    """Whether the worker's last report has not been tried yet."""
    worker = view.workers.get(WORKER)
    if worker is None or view.merges_open:
        return False
    reports = [e for e in view.events if e.kind == Report.DONE]
    ended_well = bool(worker.pid) and not worker.alive and worker.exit_status == 0
    return (worker.report is Report.DONE and len(reports) > len(view.merges)) or (
        ended_well and not view.merges
    )


def judged(view: SessionView, *, reads_only: bool = False, comes_back: bool = True) -> f.GoalMarked | None:
    """The outcome the facts amount to; None while there is still something to come."""
    worker = view.workers.get(WORKER)
    if worker is None or view.merges_open:
        return None
    if reads_only and worker.report is Report.DONE:
        return f.GoalMarked(Outcome.DONE, worker.summary)
    last = view.merges[-1] if view.merges else None
    if last is not None and last.result is MergeResult.MERGED and last.verdict is not None:
        if last.verdict.outcome is CheckOutcome.NO_CHECKS:
            return f.GoalMarked(Outcome.UNVERIFIED, worker.summary, "the project has no checks")
        return f.GoalMarked(Outcome.DONE, worker.summary)
    if last is not None and last.result in {MergeResult.NOTHING, MergeResult.REFUSED, MergeResult.ERROR}:
        return f.GoalMarked(Outcome.FAILED, last.why)
    if len(view.merges) >= ATTEMPTS:
        return f.GoalMarked(Outcome.FAILED, f"not merged after {ATTEMPTS} attempts: {view.merges[-1].why}")
    if worker.state in {WorkerState.BLOCKED, WorkerState.FAILED}:
        return f.GoalMarked(Outcome.FAILED, worker.summary or f"the worker is {worker.state}")
    gone = bool(worker.pid) and not (worker.alive or worker.wanted or (comes_back and worker.comes_back))
    if gone and worker.report is None and (reads_only or not wants_merge(view)):
        return f.GoalMarked(Outcome.FAILED, "the agent ended without a result")
    return None
