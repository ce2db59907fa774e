"""Notes beside worktrees that are being made: what a killed process left half-made is known by one."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from agentorchestr.worktree import gateway
from agentorchestr.worktree.repository import Repository

MAKING = ".making"
"""Ends the name of a note; before it stands the name of the worktree."""


@contextlib.contextmanager
def noted(path: Path) -> Iterator[None]:
    """Keep a note beside *path* meanwhile: one that is left tells of a tree that is not whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    note = _note_of(path)
    note.touch()
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def remove_half_made(repo: Repository, path: Path) -> bool:
    """Remove what a process left at *path* that was killed while it made it; whether that was so.

    Nothing is saved: no agent was given such a tree. Its branch stays.
    """
    note = _note_of(path)
    if not note.exists():
        return False
    gateway.undo_add(repo, path, branch="", commit="")
    note.unlink(missing_ok=True)
    return True


def _note_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{MAKING}")
