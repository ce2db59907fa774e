"""Add one worktree, whole or not at all: also when we are killed while it is made."""

from pathlib import Path

from agentorchestr.clock import until
from agentorchestr.errors import GitError
from agentorchestr.worktree import gateway
from agentorchestr.worktree.git import CHECKOUT_S, LOCK_WAIT_S, LOCKED, run_git
from agentorchestr.worktree.making import noted
from agentorchestr.worktree.repository import Repository, branch_tip


def add_worktree(repo: Repository, path: Path, *, branch: str, commit: str) -> None:
    """Add a worktree at *path* on the new branch *branch*, which starts at *commit*.

    Submodules are left alone and no hook runs. Raises ``GitError`` when *path* or *branch* exists,
    or when git fails; then neither is left behind.
    """
    if branch_tip(repo, branch) is not None:
        raise GitError(f"cannot add a worktree: the branch {branch} exists")
    with noted(path):
        _add(repo, path, words=("--no-track", "-b", branch), commit=commit, branch=branch)


def add_existing(repo: Repository, path: Path, *, branch: str) -> None:
    """Add a worktree at *path* on *branch*, which exists. Raises ``GitError``, with none left behind."""
    with noted(path):
        _add(repo, path, words=(), commit=branch, branch="")


def add_unused(repo: Repository, path: Path, *, commit: str) -> None:
    """Add a worktree at *path* without a branch, marked as given to nobody."""
    with noted(path):
        _add(repo, path, words=("--detach",), commit=commit, branch="")
        gateway.mark_unused(repo, path)


def _add(repo: Repository, path: Path, *, words: tuple[str, ...], commit: str, branch: str) -> None:
    if path.exists() or path.is_symlink():
        raise GitError(f"cannot add a worktree: {path} exists")
    failures: list[GitError] = []

    def settled() -> bool:
        failures.clear()
        try:
            run_git(
                repo.root, "worktree", "add", "-q", *words, str(path), commit,
                timeout_s=CHECKOUT_S, wait_for_locks=False,
            )  # fmt: skip
        except GitError as exc:
            failures.append(exc)
            # git makes the branch first and does not take it back when the rest fails.
            gateway.undo_add(repo, path, branch=branch, commit=commit)
            return LOCKED.search(str(exc)) is None
        return True

    until(settled, within_s=LOCK_WAIT_S, every_s=0.05)
    if failures:
        raise failures[0]
