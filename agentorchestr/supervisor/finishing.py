"""The end of a session: agents ended, work saved, worktrees removed, the result said."""

import contextlib
import logging
from pathlib import Path

from agentorchestr.errors import OrchestrError
from agentorchestr.model import facts as f
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.integration import Integration
from agentorchestr.supervisor.landing import land_result
from agentorchestr.worktree import gateway
from agentorchestr.worktree.pool import WorktreePool

logger = logging.getLogger(__name__)


def ending(view: SessionView, *, now: float) -> f.GoalMarked | None:
    """The outcome that is due without anybody marking it: a stop, a pause, tmux gone, the time limit."""
    if view.stop_asked:
        return f.GoalMarked(Outcome.CANCELLED, "stopped by the person")
    if view.pause_asked:
        return f.GoalMarked(Outcome.PAUSED, "paused by the person")
    if view.tmux_lost:
        return f.GoalMarked(
            Outcome.PAUSED, "tmux ended and took the agents with it; their worktrees are as they were"
        )
    if view.limit_s and now > view.limit_from + view.limit_s:
        return f.GoalMarked(Outcome.FAILED, f"the time limit of {view.limit_s:g} s was reached")
    return None


async def finish(gear: Gear, *, integration: Integration, pool: WorktreePool) -> None:
    """Bring a session whose agents have ended to its end, losing nothing. Safe to run again.

    One that is only paused keeps its worktrees as they are.
    """
    paused = gear.view.goal_marked is Outcome.PAUSED
    for worker in tuple(gear.view.workers.values()):
        await (_keep(gear, worker) if paused else _save(gear, worker, integration))
    try:
        await offload(pool.drain)
    except (OrchestrError, OSError) as exc:
        logger.warning("ready worktrees kept", extra={"detail": str(exc)})
    view = gear.view
    if view.created.land and view.goal_marked is Outcome.DONE and not view.landed:
        await _land(gear)
    await offload(remove_if_empty, gear.worktrees)
    await offload(remove_if_empty, gear.worktrees.parent)
    view = gear.view
    outcome = view.goal_marked or Outcome.CANCELLED
    await gear.book.record(f.SessionEnded(outcome, view.goal_summary))
    logger.info("session ended", extra={"session_id": gear.session_id, "detail": outcome.value})


async def _keep(gear: Gear, worker: WorkerView) -> None:
    """Save what is in the worktree and leave it as it is: the agent goes on in it."""
    path = Path(worker.worktree)
    if not await offload(path.is_dir):
        return
    try:
        await offload(
            gateway.snapshot,
            gear.repository,
            path,
            session_id=gear.session_id,
            worker_id=worker.worker_id,
            why="the session was paused",
        )
    except (OrchestrError, OSError) as exc:
        logger.warning("no snapshot at the pause", extra={"worker_id": worker.worker_id, "detail": str(exc)})


async def _save(gear: Gear, worker: WorkerView, integration: Integration) -> None:
    """Commit what the worker left, then remove its worktree; a tree that cannot be saved stays."""
    path = Path(worker.worktree)
    if not await offload(path.is_dir):
        return
    # In the middle of a merge nothing can be committed; the gateway saves such a tree as it is.
    with contextlib.suppress(OrchestrError):
        await integration.commit_leftovers(worker)
    try:
        await offload(
            gateway.remove_worktree,
            gear.repository,
            path,
            session_id=gear.session_id,
            worker_id=worker.worker_id,
        )
        tip = gear.view.integration_branch
        await offload(gateway.delete_branch, gear.repository, worker.branch, merged_into=tip)
    except (OrchestrError, OSError) as exc:
        logger.warning("worktree kept", extra={"worker_id": worker.worker_id, "detail": str(exc)})
        await gear.book.record(f.ProgressNoted(worker.worker_id, f"its worktree was kept: {exc}"))


def remove_if_empty(folder: Path) -> None:
    """Remove a folder of ours that holds nothing; one that holds something stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()


async def _land(gear: Gear) -> None:
    """Land because ``--land`` asked for it; why it could not be done is shown to the person."""
    try:
        result = await offload(
            land_result, gear.repository, gear.view, scratch=gear.worktrees, env=gear.environment
        )
    except OrchestrError as exc:
        hint = f" {exc.hint}" if exc.hint else ""
        await gear.book.record(f.LandingFailed(f"{exc}.{hint}"))
        return
    await gear.book.record(f.Landed(result.branch, result.commit))
