"""The worktrees of a session: add one, take one from the pool, borrow one for checks, list them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from agentorchestr.worktree import gateway
from agentorchestr.worktree.adding import add_unused, add_worktree
from agentorchestr.worktree.listing import WorktreeRow, list_worktrees
from agentorchestr.worktree.making import MAKING, noted, remove_half_made
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import Repository

__all__ = [
    "WorktreePool",
    "WorktreeRow",
    "add_worktree",
    "clear_scratch",
    "list_worktrees",
    "scratch_worktree",
    "scratch_worktrees",
]


@contextlib.contextmanager
def scratch_worktree(repo: Repository, path: Path, commit: str) -> Iterator[Path]:
    """Lend a clean worktree of *commit* at *path* for a run of checks; removed at the end.

    What the checks write into it is not saved: no agent was given it. One that a crash left at
    *path* is replaced.
    """
    clear_scratch(repo, path)
    add_unused(repo, path, commit=commit)
    try:
        yield path
    finally:
        clear_scratch(repo, path)


def clear_scratch(repo: Repository, path: Path) -> None:
    """Remove the scratch worktree at *path*, however much of it a crash left. Fine when there is none.

    Raises ``WorkAtRisk`` when what is there was never one.
    """
    if not remove_half_made(repo, path):
        is_whole = gateway.is_unused(repo, path)
        with noted(path) if is_whole else contextlib.nullcontext():
            gateway.remove_scratch(repo, path)


def scratch_worktrees(folder: Path, *, prefix: str) -> list[Path]:
    """Where scratch worktrees of this *prefix* lie in *folder*, half-made ones included."""
    return sorted({found.with_name(found.name.removesuffix(MAKING)) for found in folder.glob(f"{prefix}*")})
