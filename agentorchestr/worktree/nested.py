"""Repositories inside a worktree: untracked clones, and submodules that somebody filled."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from agentorchestr.errors import GitError, WorkAtRisk
from agentorchestr.worktree.git import CHECKOUT_S, run_git


def find_nested(worktree: Path, *, skip: Callable[[Path], bool]) -> tuple[Path, ...]:
    """The topmost folders below *worktree* that hold a ``.git`` of their own, whatever it is.

    Raises ``WorkAtRisk`` when a folder cannot be read.
    """

    def unreadable(exc: OSError) -> None:
        raise WorkAtRisk(f"{exc.filename} cannot be read: {exc.strerror}") from exc

    found: list[Path] = []
    for base, folders, files in os.walk(worktree, onerror=unreadable):
        here = Path(base)
        if here != worktree and (".git" in folders or ".git" in files):
            found.append(here)
            folders.clear()
            continue
        folders[:] = [name for name in folders if not skip(here / name)]
    return tuple(sorted(found))


def to_save(nested: Sequence[Path], admin: Path) -> tuple[list[Path], Path | None]:
    """Which nested repositories have to be saved, and the folder of the submodules' own history.

    A submodule that holds nothing of its own is left to ``git submodule update``, which brings it
    back; the history of submodules is saved as a whole or (None) not at all.
    """
    modules = admin / "modules"
    clean = [root for root in nested if _is_clean_submodule(root, modules)]
    histories = _histories(modules) if modules.is_dir() else 0
    keep_history = histories > len(clean)
    roots = [root for root in nested if root not in clean]
    return roots, modules if keep_history else None


def _histories(modules: Path) -> int:
    return sum("HEAD" in files and "objects" in folders for _, folders, files in os.walk(modules))


def _is_clean_submodule(root: Path, modules: Path) -> bool:
    marker = root / ".git"
    if marker.is_symlink() or not marker.is_file():
        return False
    git_dir = Path(root, os.fsdecode(marker.read_bytes().rstrip(b"\r\n").removeprefix(b"gitdir: "))).resolve()
    if not git_dir.is_relative_to(modules):
        return False
    try:
        dirty = run_git(
            root, "status", "--porcelain", "--ignored", "--untracked-files=all", timeout_s=CHECKOUT_S
        )
        own = run_git(root, "rev-list", "-n", "1", "--all", "--reflog", "HEAD", "--not", "--remotes")
    except GitError:
        return False
    return not dirty.out and not own.out
