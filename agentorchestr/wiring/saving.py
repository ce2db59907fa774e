"""Save and remove a session's worktrees without a supervisor."""

from pathlib import Path

from agentorchestr.model.view import SessionView
from agentorchestr.paths import Paths
from agentorchestr.supervisor.integration import CHECK_FOLDER
from agentorchestr.worktree import gateway
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import find_repository


def save_worktrees(paths: Paths, view: SessionView) -> None:
    """Commit what each worker left, then remove its worktree through the gateway.

    Raises what the gateway raises: a tree that cannot be saved stays, and the caller says so.
    """
    repository = find_repository(Path(view.created.repository))
    for worker in view.workers.values():
        tree = Path(worker.worktree)
        if not tree.is_dir():
            continue
        commit_all(tree, message=f"{worker.worker_id}: work left uncommitted")
        gateway.remove_worktree(repository, tree, session_id=view.session_id, worker_id=worker.worker_id)
        gateway.delete_branch(repository, worker.branch, merged_into=view.integration_branch)
    folder = paths.worktrees(repository.key, view.session_id)
    WorktreePool(repository, folder / ".pool", size=0).drain()
    for check in sorted(folder.glob(f"{CHECK_FOLDER}*")):
        gateway.remove_scratch(repository, check)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
