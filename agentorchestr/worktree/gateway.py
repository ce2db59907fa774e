"""The only module that removes or resets anything, in git or on disk.

Every way out begins by saving: what a worktree holds goes to a snapshot ref first, and whatever
cannot be saved stays where it is (``WorkAtRisk``). Without a snapshot go only trees that carry our
mark "never given to an agent", and what a failed act of ours made itself.
"""

import contextlib
import logging
import os
import shlex
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from agentorchestr.errors import GitError, WorkAtRisk
from agentorchestr.worktree.git import CHECKOUT_S, run_git
from agentorchestr.worktree.heads import orphan_heads
from agentorchestr.worktree.held import held_by, read_index, read_tree, tree_with, write_index
from agentorchestr.worktree.listing import admin_dir, admin_dir_of_missing, list_worktrees, mend_record
from agentorchestr.worktree.repository import Repository, branch_tip, stage
from agentorchestr.worktree.snapshots import snapshot, write_snapshot
from agentorchestr.worktree.unsaved import BULK_BYTES, Unsaved, read_unsaved

__all__ = [
    "delete_branch",
    "give_out",
    "is_unused",
    "mark_unused",
    "overwrite_held",
    "prune",
    "remove_folder",
    "remove_scratch",
    "remove_worktree",
    "snapshot",
    "undo_add",
]

logger = logging.getLogger(__name__)

OUR_BRANCHES = "agentorchestr/"
UNUSED_MARK = "agentorchestr-unused"
"""In git's administration folder of a tree that no agent was given."""
READINGS = 3
REMOVAL = "before its worktree was removed"
GONE = "its worktree's folder was gone"


def remove_worktree(
    repo: Repository, path: Path, *, session_id: str, worker_id: str, bulk_bytes: int = BULK_BYTES
) -> str | None:
    """Save what the worktree at *path* holds, then remove it. Its branch stays.

    Returns the ref of the snapshot, or None when nothing was unsaved or there is no such worktree.
    Raises ``WorkAtRisk``, with the tree left as it is, when something cannot be saved: unreadable,
    over the size limit, still being written, or not a worktree of this repository any more.
    """
    try:
        if not path.exists() and not path.is_symlink():
            return _remove_record(repo, path, session_id=session_id, worker_id=worker_id)
        _refuse_the_persons(repo, path)
        ref = _save(repo, path, session_id=session_id, worker_id=worker_id, bulk_bytes=bulk_bytes)
        mend_record(repo, path)
    except WorkAtRisk:
        raise
    except (GitError, OSError) as exc:
        raise WorkAtRisk(
            f"{path} was kept: its work could not be saved: {exc}",
            hint="look at it there, commit what is worth it, then: agentorchestr stop",
        ) from exc
    try:
        _remove(repo, path)
    except WorkAtRisk:
        raise
    except (GitError, OSError) as exc:
        # Root-owned files of a container, a mount, a file somebody holds open.
        raise WorkAtRisk(
            f"{path} could not be removed: {exc}" + (f" (its work is saved in {ref})" if ref else ""),
            hint=f"remove it as who owns it: sudo rm -rf {shlex.quote(str(path))}",
        ) from exc
    logger.info("worktree removed", extra={"worker_id": worker_id, "detail": ref or "nothing unsaved"})
    return ref


def _save(repo: Repository, path: Path, *, session_id: str, worker_id: str, bulk_bytes: int) -> str | None:
    ref = None
    before = read_unsaved(repo, path, bulk_bytes=bulk_bytes)
    for _ in range(READINGS):
        if before.empty:
            return ref
        ref = write_snapshot(repo, before, session_id=session_id, worker_id=worker_id, why=REMOVAL)
        if before.left_out:
            names = f"{len(before.left_out)} files: {', '.join(before.left_out[:5])}"
            raise WorkAtRisk(
                f"{path} was kept: ignored or nested files are too large to save: {names}",
                hint=f"move what you need, then: git worktree remove --force '{path}'",
            )
        after = read_unsaved(repo, path, bulk_bytes=bulk_bytes)
        if _same(before, after):
            return ref
        before = after
    raise WorkAtRisk(
        f"{path} was kept: something still writes into it", hint="end that process, then try again"
    )


def _same(before: Unsaved, after: Unsaved) -> bool:
    # The snapshot itself now holds the commits that had no other holder.
    return (before.head, before.files, before.deleted, before.staged) == (
        after.head,
        after.files,
        after.deleted,
        after.staged,
    ) and not after.heads


def _refuse_the_persons(repo: Repository, path: Path) -> None:
    where = path.resolve()
    if path.is_symlink() or repo.root.is_relative_to(where) or repo.git_dir.is_relative_to(where):
        raise WorkAtRisk(f"{path} is not a worktree of ours: it is, or holds, the person's own tree")


def _remove(repo: Repository, path: Path) -> None:
    if (admin_dir(repo, path) / "locked").exists():
        raise WorkAtRisk(f"{path} was kept: somebody locked it", hint=f"git worktree unlock '{path}'")
    words = ("worktree", "remove", "--force", str(path))
    if run_git(repo.root, *words, timeout_s=CHECKOUT_S, accept=range(256)).code == 0:
        return
    # Package caches make their folders read-only: git drops its record and leaves those behind.
    _make_writable(path)
    if path.exists():
        shutil.rmtree(path)
    if admin_dir_of_missing(repo, path) is not None:
        run_git(repo.root, *words)


def _make_writable(path: Path) -> None:
    for base, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(base).chmod(stat.S_IRWXU)


def _remove_record(repo: Repository, path: Path, *, session_id: str, worker_id: str) -> str | None:
    admin = admin_dir_of_missing(repo, path)
    if admin is None:
        return None
    heads = orphan_heads(admin, admin)
    ref = None
    if heads:
        lost = Unsaved(head=heads[0], heads=heads)
        ref = write_snapshot(repo, lost, session_id=session_id, worker_id=worker_id, why=GONE)
    run_git(repo.root, "worktree", "remove", "--force", str(path))
    return ref


def prune(
    repo: Repository, *, inside: Path | None = None, ours: str = OUR_BRANCHES, session_id: str = "pruned"
) -> tuple[Path, ...]:
    """Drop git's records of our worktrees whose folders are gone; commits only they hold are saved.

    Those are on branches that begin with *ours* and, when given, those that lay *inside* a folder. A
    person's worktree on a disk that is not mounted is not touched.
    """
    gone = []
    for row in list_worktrees(repo):
        lay_inside = inside is not None and row.path.is_relative_to(inside.resolve())
        if row.missing and (row.branch.startswith(ours) or lay_inside):
            _remove_record(repo, row.path, session_id=session_id, worker_id=row.path.name or "worker")
            gone.append(row.path)
    return tuple(gone)


def delete_branch(repo: Repository, branch: str, *, merged_into: str) -> bool:
    """Delete one of our branches when *merged_into* holds all of it; tell whether that was so.

    False as well when it is checked out somewhere, moves meanwhile, or does not exist. Raises
    ``WorkAtRisk`` for a branch that is not ours.
    """
    if not branch.startswith(OUR_BRANCHES):
        raise WorkAtRisk(f"the branch {branch} is not one of ours")
    tip = branch_tip(repo, branch)
    if tip is None or any(row.branch == branch and not row.missing for row in list_worktrees(repo)):
        return False
    if run_git(repo.root, "merge-base", "--is-ancestor", tip, merged_into, accept=(0, 1, 128)).code:
        return False
    return run_git(repo.root, "update-ref", "-d", f"refs/heads/{branch}", tip, accept=(0, 1, 128)).code == 0


def mark_unused(repo: Repository, path: Path) -> None:
    """Mark a worktree as never given to an agent: it may be removed without a snapshot."""
    (admin_dir(repo, path) / UNUSED_MARK).touch()


def is_unused(repo: Repository, path: Path) -> bool:
    """Whether *path* is a whole worktree of ours that no agent was given."""
    try:
        return (admin_dir(repo, path) / UNUSED_MARK).exists()
    except WorkAtRisk:
        return False


def give_out(repo: Repository, path: Path) -> None:
    """Take the mark off: from now on what is in the tree is somebody's work."""
    (admin_dir(repo, path) / UNUSED_MARK).unlink()


def remove_scratch(repo: Repository, path: Path) -> None:
    """Remove a worktree that no agent was given, without a snapshot.

    Raises ``WorkAtRisk`` when it does not carry the mark. Fine when it is gone.
    """
    if not path.exists():
        _remove_record(repo, path, session_id="scratch", worker_id="scratch")
        return
    _refuse_the_persons(repo, path)
    if not is_unused(repo, path):
        raise WorkAtRisk(f"{path} may hold an agent's work: it does not carry the mark of an unused tree")
    _remove(repo, path)


def undo_add(repo: Repository, path: Path, *, branch: str, commit: str) -> None:
    """Take back a worktree that could not be made whole: its folder, its record, its branch.

    Only for the maker, who knows that neither *path* nor *branch* existed before. The branch goes
    only while it is still at *commit*.
    """
    words = ("worktree", "remove", "--force", "--force", str(path))  # the second lifts git's own lock
    if run_git(repo.root, *words, timeout_s=CHECKOUT_S, accept=range(256)).code and path.exists():
        shutil.rmtree(path)
        run_git(repo.root, *words, accept=range(256))
    if branch:
        run_git(repo.root, "update-ref", "-d", f"refs/heads/{branch}", commit, accept=range(256))


def overwrite_held(
    repo: Repository, tree: Path, names: Collection[bytes], *, held: str, branch: str, old: str, new: str
) -> None:
    """Bring *tree*, which has *branch* checked out at *old*, to *new*, though *names* differ from *old*.

    They are files of the person's which the commit *held*, an ancestor of *new*, holds exactly as they are:
    looked at once more here, and by git itself as it writes. Whatever else differs stays as it is.
    Raises ``WorkAtRisk`` with tree, index and branch as they were.
    """
    before, entries = read_index(tree), read_tree(tree, held)
    middle = tree_with(repo, tree, old, names, of=held)
    run_git(tree, "update-index", "-q", "--refresh", accept=(0, 1), timeout_s=CHECKOUT_S)
    try:
        if held_by(tree, held, names, head=old) == set(names):
            stage(tree, sorted(names))
        now = read_index(tree)
        if any(now.get(name) != entries.get(name) for name in names):
            raise WorkAtRisk(f"files in {tree} changed during the landing")
        # git compares every file it is about to write with the index, and refuses as a whole.
        run_git(tree, "read-tree", "-m", "-u", middle, new, timeout_s=CHECKOUT_S)
        try:
            run_git(repo.root, "update-ref", "-m", "agentorchestr: landed", f"refs/heads/{branch}", new, old)
        except GitError:
            run_git(tree, "read-tree", "-m", "-u", new, middle, timeout_s=CHECKOUT_S)
            raise
    except GitError as exc:
        write_index(tree, {name: before.get(name) for name in names})
        raise WorkAtRisk(f"{tree} was left as it is: {exc}", hint="try again: agentorchestr land") from exc


def remove_folder(path: Path, *, inside: Path) -> None:
    """Remove a state folder of ours, which must lie *inside* a folder of ours. Fine when it is gone.

    Raises ``WorkAtRisk`` when it lies elsewhere, is a link, or holds a worktree.
    """
    if not path.exists() and not path.is_symlink():
        return
    root = inside.resolve()
    if path.is_symlink() or not path.resolve().is_relative_to(root) or path.resolve() == root:
        raise WorkAtRisk(f"{path} is not a folder of ours inside {inside}")
    held = next(_worktrees_in(path), None)
    if held is not None:
        raise WorkAtRisk(f"{path} was kept: there is a worktree in it: {held}")
    _make_writable(path)
    try:
        shutil.rmtree(path)
    except OSError as exc:
        raise WorkAtRisk(
            f"{path} could not be removed: {exc}",
            hint=f"remove it as who owns it: sudo rm -rf {shlex.quote(str(path))}",
        ) from exc


def _worktrees_in(path: Path) -> Iterator[Path]:
    for base, _, files in os.walk(path):
        if ".git" in files:
            yield Path(base)
