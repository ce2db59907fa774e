"""The worktrees a repository has, and the folders where git administers them."""

import os
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import GitError, WorkAtRisk
from agentorchestr.worktree.git import git_version, run_git
from agentorchestr.worktree.repository import Repository

LIST_WITH_Z = (2, 36)


@dataclass(frozen=True)
class WorktreeRow:
    """One worktree. ``branch`` is empty for a detached HEAD, ``commit`` for a branch without one."""

    path: Path
    commit: str
    branch: str
    missing: bool
    """Its folder is gone; only git's record of it is left."""
    bare: bool = False


def list_worktrees(repo: Repository) -> tuple[WorktreeRow, ...]:
    """All worktrees of the repository, the main one first."""
    separator = b"\0" if git_version() >= LIST_WITH_Z else b"\n"
    flag = ("-z",) if separator == b"\0" else ()
    out = run_git(repo.root, "worktree", "list", "--porcelain", *flag).out
    blocks = out.strip(separator).split(separator * 2)
    return tuple(_row(block.split(separator)) for block in blocks if block)


def _row(lines: list[bytes]) -> WorktreeRow:
    fields = {key: value for key, _, value in (line.partition(b" ") for line in lines)}
    path = Path(os.fsdecode(fields[b"worktree"]))
    commit = fields.get(b"HEAD", b"").decode()
    return WorktreeRow(
        path=path,
        commit="" if not commit.strip("0") else commit,
        branch=os.fsdecode(fields.get(b"branch", b"")).removeprefix("refs/heads/"),
        missing=not path.exists(),
        bare=b"bare" in fields,
    )


def admin_dir(repo: Repository, path: Path) -> Path:
    """The folder where git administers the linked worktree at *path*.

    Raises ``WorkAtRisk`` when *path* is not a linked worktree of this repository: its ``.git`` was
    changed or removed, so nothing can be said about what is in it.
    """
    marker = path / ".git"
    try:
        if marker.is_symlink() or not marker.is_file():
            raise WorkAtRisk(f"{path} is not a worktree any more: its .git file is gone or was replaced")
        text = os.fsdecode(marker.read_bytes().rstrip(b"\r\n"))
    except OSError as exc:
        raise WorkAtRisk(f"{marker} cannot be read: {exc.strerror}") from exc
    admin = Path(path, text.removeprefix("gitdir: ")).resolve()
    if not text.startswith("gitdir: ") or admin.parent != repo.git_dir / "worktrees" or not admin.is_dir():
        raise WorkAtRisk(f"{path} does not belong to the repository {repo.root}")
    return admin


def admin_dir_of_missing(repo: Repository, path: Path) -> Path | None:
    """The administration folder of a worktree whose own folder is gone, or None."""
    for record in sorted((repo.git_dir / "worktrees").glob("*/gitdir")):
        if _recorded(record.parent) == path.resolve() / ".git":
            return record.parent
    return None


def _recorded(admin: Path) -> Path:
    return Path(admin, os.fsdecode((admin / "gitdir").read_bytes().rstrip(b"\r\n")))


def mend_record(repo: Repository, path: Path) -> None:
    """Tell git where the worktree at *path* lies now, if it was moved."""
    if _recorded(admin_dir(repo, path)) != path.resolve() / ".git":
        answer = run_git(repo.root, "worktree", "repair", str(path), accept=(0, 1))
        if answer.code:
            raise GitError(f"the worktree at {path} cannot be mended: {answer.err}")
