"""Commit what a worker left, and read what a branch changed."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import GitError
from agentorchestr.worktree.git import CHECKOUT_S, run_git, run_with_identity, shown
from agentorchestr.worktree.repository import Repository, is_unmerged, read_dirty, stage

OUR_FILES = (".agentorchestr/done.flag", ".agentorchestr/done.flag.tmp")
"""What a worker writes for us: never part of its work."""


@dataclass(frozen=True)
class FileChange:
    """One file between two commits. ``status`` is git's letter: A, M, D, R, C or T."""

    status: str
    path: str
    old_path: str = ""
    """Where it was before, for R and C."""


def commit_all(
    worktree: Path, *, message: str, exclude: Sequence[str] = OUR_FILES, branch: str = ""
) -> tuple[str, tuple[str, ...]] | None:
    """Commit everything in *worktree* that is not ignored; return the commit and its files.

    None when there is nothing to commit. Left out, and still there afterwards: *exclude*, links
    into the person's tree that ``setup`` made, and nested repositories. Raises ``GitError`` when a
    merge or rebase is not finished, or when *branch* is given and is not what is checked out.
    """
    _refuse_unfinished(worktree, branch=branch)
    dirty = read_dirty(worktree)
    unresolved = [shown(name) for name, status in dirty if is_unmerged(status)]
    if unresolved:
        raise GitError(
            f"conflicts are not resolved in {worktree}: {', '.join(unresolved)}",
            hint="resolve them and commit, or: git merge --abort",
        )
    left_out = {os.fsencode(name) for name in exclude}
    names = [name for name, status in dirty if name not in left_out and _is_work(worktree, name, status)]
    if not names:
        return None
    stage(worktree, names)
    return _commit_index(worktree, message)


def _commit_index(worktree: Path, message: str) -> tuple[str, tuple[str, ...]] | None:
    listed = run_git(worktree, "diff-index", "--cached", "--name-only", "--no-renames", "-z", "HEAD")
    if not listed.records:
        return None
    run_with_identity(
        worktree, "commit", "-q", "--no-verify", "--cleanup=whitespace", "-F", "-",
        stdin=message.encode(errors="backslashreplace"), timeout_s=CHECKOUT_S,
    )  # fmt: skip
    commit = run_git(worktree, "rev-parse", "HEAD").text
    return commit, tuple(sorted(shown(name) for name in listed.records))


def _refuse_unfinished(worktree: Path, *, branch: str) -> None:
    git_dir = Path(worktree, run_git(worktree, "rev-parse", "--git-dir").text)
    for name in ("rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD", "REVERT_HEAD"):
        if (git_dir / name).exists():
            word = re.split(r"[-_]", name.lower().replace("_", "-", 1))[0]
            raise GitError(
                f"a {word} is not finished in {worktree}", hint="finish it, or abort it: git status says how"
            )
    if branch:
        head = run_git(worktree, "symbolic-ref", "-q", "HEAD", accept=(0, 1)).text
        if head != f"refs/heads/{branch}":
            where = head.removeprefix("refs/heads/") or "a detached HEAD"
            raise GitError(f"{worktree} is on {where}, not on {branch}", hint=f"git switch {branch}")


def _is_work(worktree: Path, name: bytes, status: str) -> bool:
    if name.endswith(b"/"):
        return False
    path = worktree / os.fsdecode(name)
    # An ignore rule such as "node_modules/" covers a folder but not the link we put in its place.
    return not (status == "??" and path.is_symlink() and is_link_of_ours(worktree, path))


def is_link_of_ours(worktree: Path, path: Path) -> bool:
    """Whether *path* is a link to the same place in another tree, as ``setup`` makes them."""
    target = path.readlink()
    relative = path.relative_to(worktree)
    parts = len(relative.parts)
    return (
        target.is_absolute()
        and target.parts[-parts:] == relative.parts
        and not target.is_relative_to(worktree)
        and (Path(*target.parts[:-parts]) / ".git").exists()
    )


def changed_files(repo: Repository, base: str, tip: str) -> tuple[FileChange, ...]:
    """What *tip* changed since it left *base*: from their merge base, renames detected."""
    records = run_git(
        repo.root, "diff", "--name-status", "-z", "-M", "--no-ext-diff", _since(repo, base, tip), tip, "--",
        timeout_s=CHECKOUT_S,
    ).records  # fmt: skip
    changes: list[FileChange] = []
    rest = iter(records)
    for status in rest:
        letter = status.decode()[0]
        first = shown(next(rest))
        if letter in "RC":
            changes.append(FileChange(letter, shown(next(rest)), first))
        else:
            changes.append(FileChange(letter, first))
    return tuple(changes)


def file_at(repo: Repository, treeish: str, path: str) -> bytes | None:
    """The content of *path* in a commit or tree; None when it holds no such file."""
    answer = run_git(repo.root, "cat-file", "blob", f"{treeish}:{path}", accept=(0, 128))
    return None if answer.code else answer.out


def diff_text(
    repo: Repository,
    base: str,
    tip: str,
    *,
    paths: Sequence[str] = (),
    stat_only: bool = False,
    max_bytes: int = 60_000,
) -> str:
    """What *tip* changed since it left *base*, as a patch or (*stat_only*) as git's summary.

    Over *max_bytes* it is cut at the end of a line, and its last line says so.
    """
    how = ("--stat=120",) if stat_only else ("--patch", "--stat=120")
    out = run_git(
        repo.root, "diff", *how, "-M", "--no-color", "--no-ext-diff", "--no-textconv",
        _since(repo, base, tip), tip, "--", *paths, timeout_s=CHECKOUT_S,
    ).out  # fmt: skip
    if len(out) <= max_bytes:
        return shown(out)
    kept = out[:max_bytes].rpartition(b"\n")[0]
    return f"{shown(kept)}\n[cut: {len(kept)} of {len(out)} bytes shown; name single files to see more]"


def _since(repo: Repository, base: str, tip: str) -> str:
    answer = run_git(repo.root, "merge-base", base, tip, accept=(0, 1))
    return answer.text or base
