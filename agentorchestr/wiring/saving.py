"""Save and remove a session's worktrees without a supervisor."""

import contextlib
from pathlib import Path

from agentorchestr.errors import OrchestrError
from agentorchestr.model.facts import ProgressNoted
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.paths import Paths
from agentorchestr.supervisor.checking import CHECK_FOLDER
from agentorchestr.worktree import gateway
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import Repository, find_repository


def save_worktrees(paths: Paths, view: SessionView) -> list[ProgressNoted]:
    """Commit what each worker left, then remove its worktree through the gateway.

    A tree that cannot be saved stays; a note on each of them is returned.
    """
    kept = []
    repository = find_repository(Path(view.created.repository))
    for worker in view.workers.values():
        tree = Path(worker.worktree)
        if not tree.is_dir():
            continue
        try:
            _save(repository, view, worker)
        except (OrchestrError, OSError) as exc:
            kept.append(ProgressNoted(worker.worker_id, f"its worktree was kept: {exc}"))
    folder = paths.worktrees(repository.key, view.session_id)
    WorktreePool(repository, folder / ".pool", size=0).drain()
    for check in sorted(folder.glob(f"{CHECK_FOLDER}*")):
        gateway.remove_scratch(repository, check)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return kept


def _save(repository: Repository, view: SessionView, worker: WorkerView) -> None:
    tree = Path(worker.worktree)
    # In the middle of a merge nothing can be committed; the gateway saves such a tree as it is.
    with contextlib.suppress(OrchestrError):
        commit_all(tree, message=f"{worker.worker_id}: work left uncommitted")
    gateway.remove_worktree(repository, tree, session_id=view.session_id, worker_id=worker.worker_id)
    gateway.delete_branch(repository, worker.branch, merged_into=view.integration_branch)
