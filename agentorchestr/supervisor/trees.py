"""The worktree an agent is started in: a new one, the one it had, or that one made again."""

import logging
from contextlib import AsyncExitStack
from pathlib import Path

from agentorchestr.errors import GitError, WorkAtRisk
from agentorchestr.model import facts as f
from agentorchestr.model.view import WorkerView
from agentorchestr.paths import ensure_private
from agentorchestr.process import MARK_VARIABLE, offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.places import keep_setup
from agentorchestr.worktree import gateway
from agentorchestr.worktree.adding import add_existing, add_worktree
from agentorchestr.worktree.listing import admin_dir
from agentorchestr.worktree.making import remove_half_made
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.reopening import last_snapshot, put_back
from agentorchestr.worktree.repository import branch_tip, read_dirty
from agentorchestr.worktree.setup import apply_setup

logger = logging.getLogger(__name__)


class Trees:
    """Gives each agent its worktree; what one holds is never taken back from an agent that had begun."""

    def __init__(self, gear: Gear, pool: WorktreePool) -> None:
        self._gear = gear
        self._pool = pool

    async def make_ready(self, worker: WorkerView, undo: AsyncExitStack) -> str:
        """See that the worker's worktree stands; what the agent has to know of it, empty when all is well."""
        if not worker.start_commit:
            await self._make(worker, undo)
            return ""
        note, made = await offload(self._find_again, worker)
        if made:
            await self._set_up(worker)
        if note:
            logger.warning("worktree made again", extra={"worker_id": worker.worker_id, "detail": note})
            await self._gear.book.record(f.ProgressNoted(worker.worker_id, note))
        return note

    async def _make(self, worker: WorkerView, undo: AsyncExitStack) -> None:
        gear, path = self._gear, Path(worker.worktree)
        tip = await offload(branch_tip, gear.repository, gear.view.integration_branch)
        commit = tip or gear.created.base_commit
        await offload(ensure_private, path.parent)
        await offload(self._take_or_add, path, worker.branch, commit)
        undo.push_async_callback(offload, self._remove, worker, commit)
        await self._set_up(worker)
        await gear.book.record(f.WorktreeReady(worker.worker_id, commit))

    async def _set_up(self, worker: WorkerView) -> None:
        gear = self._gear
        # Marked as the worker's: its end, or the session's, is the end of a set-up that hangs.
        env = {**gear.environment, MARK_VARIABLE: f"{gear.session_id}:{worker.worker_id}:setup"}
        done = await offload(apply_setup, gear.repository, Path(worker.worktree), gear.setup, env)
        await offload(keep_setup, gear.folder, worker.worker_id, done.env)

    def _take_or_add(self, path: Path, branch: str, commit: str) -> None:
        repository = self._gear.repository
        remove_half_made(repository, path)
        if path.is_dir() and gateway.is_unused(repository, path):
            gateway.remove_scratch(repository, path)  # a crash cut its taking from the pool off
        elif path.is_dir() and branch_tip(repository, branch) is not None:
            return  # of a spawn that a crash cut off
        gateway.delete_branch(repository, branch, merged_into=commit)
        if not self._pool.take(path, branch=branch, commit=commit):
            add_worktree(repository, path, branch=branch, commit=commit)

    def _remove(self, worker: WorkerView, commit: str) -> None:
        repository, gear = self._gear.repository, self._gear
        gateway.remove_worktree(
            repository, Path(worker.worktree), session_id=gear.session_id, worker_id=worker.worker_id
        )
        gateway.delete_branch(repository, worker.branch, merged_into=commit)

    def _find_again(self, worker: WorkerView) -> tuple[str, bool]:
        """What is to be said of the worktree, and whether it was made anew."""
        gear, path = self._gear, Path(worker.worktree)
        remove_half_made(gear.repository, path)
        if path.is_dir() and self._is_sound(path):
            return "", False
        aside = self._put_aside(path)
        ensure_private(path.parent)
        # Only git's record is left of it; commits that no branch holds are saved before it goes.
        gateway.remove_worktree(gear.repository, path, session_id=gear.session_id, worker_id=worker.worker_id)
        tip = branch_tip(gear.repository, worker.branch)
        if tip is None:
            start = branch_tip(gear.repository, gear.view.integration_branch) or gear.created.base_commit
            add_worktree(gear.repository, path, branch=worker.branch, commit=start)
            return f"worktree and branch {worker.branch} were gone: both were made anew{aside}", True
        add_existing(gear.repository, path, branch=worker.branch)
        restored = self._restored(worker, tip)
        return f"the worktree was gone: it was made anew from its branch; {restored}{aside}", True

    def _is_sound(self, path: Path) -> bool:
        """Whether git can work in the tree; anything else is put aside as it is, never mended over work."""
        try:
            admin_dir(self._gear.repository, path)
            read_dirty(path)
        except (GitError, WorkAtRisk):
            return False
        return True

    def _put_aside(self, path: Path) -> str:
        if not path.exists() and not path.is_symlink():
            return ""
        number = 1
        while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        path.rename(target)
        return f"; what git could not read lies in {target}"

    def _restored(self, worker: WorkerView, tip: str) -> str:
        found = last_snapshot(self._gear.repository, self._gear.session_id, worker.worker_id)
        if found is None:
            return "what was not committed is not in it"
        try:
            if put_back(self._gear.repository, Path(worker.worktree), found, tip=tip):
                return f"what was not committed was put back from {found.ref}"
        except GitError as exc:
            logger.warning("snapshot not put back", extra={"worker_id": worker.worker_id, "detail": str(exc)})
        return f"what was saved of it, not put back, is in {found.ref}"
