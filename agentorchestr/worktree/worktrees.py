"""The worktrees of a session: add one, take one from the pool, borrow one for checks, list them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from agentorchestr.worktree import gateway
from agentorchestr.worktree.adding import add_unused, add_worktree
from agentorchestr.worktree.listing import WorktreeRow, list_worktrees
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import Repository

__all__ = ["WorktreePool", "WorktreeRow", "add_worktree", "list_worktrees", "scratch_worktree"]


@contextlib.contextmanager
def scratch_worktree(repo: Repository, path: Path, commit: str) -> Iterator[Path]:
    """Lend a clean worktree of *commit* at *path* for a run of checks; removed at the end.

    What the checks write into it is not saved: no agent was given it. One that a crash left at
    *path* is replaced.
    """
    gateway.remove_scratch(repo, path)
    add_unused(repo, path, commit=commit)
    try:
        yield path
    finally:
        gateway.remove_scratch(repo, path)
