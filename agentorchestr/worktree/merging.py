"""Compute merges without a checkout, make merge commits, and move branches by compare-and-swap."""

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import GitError, RefMoved
from agentorchestr.model.verdict import Conflict
from agentorchestr.worktree.conflicts import IndexEntry, read_conflicts
from agentorchestr.worktree.git import CHECKOUT_S, git_version, run_git, run_with_identity, shown
from agentorchestr.worktree.listing import list_worktrees
from agentorchestr.worktree.repository import Repository, branch_tip, read_commit
from agentorchestr.worktree.worktrees import scratch_worktree

logger = logging.getLogger(__name__)

MERGE_TREE = (2, 38)
OUR_BRANCHES = "agentorchestr/"


@dataclass(frozen=True)
class ComputedMerge:
    """What a merge of two commits would be. Nothing was checked out and no ref was moved."""

    tree: str
    """The merged tree; with conflicts, files in it hold conflict marks."""
    conflicts: tuple[Conflict, ...]
    files: tuple[str, ...]
    """What the merge changes, seen from *ours*."""
    fast_forward: bool
    """*ours* is contained in *theirs*: no merge commit is needed."""
    nothing: bool
    """*theirs* is contained in *ours*: there is nothing to merge."""


def compute_merge(repo: Repository, *, ours: str, theirs: str) -> ComputedMerge:
    """Compute the merge of *theirs* into *ours*.

    Raises ``GitError`` when the two have no history in common.
    """
    ours, theirs = read_commit(repo, ours), read_commit(repo, theirs)
    base = run_git(repo.root, "merge-base", ours, theirs, accept=(0, 1)).text
    if not base:
        raise GitError(f"{ours[:12]} and {theirs[:12]} have no history in common")
    if base in (ours, theirs):
        tip = ours if base == theirs else theirs
        tree = run_git(repo.root, "rev-parse", f"{tip}^{{tree}}").text
        files = () if tip == ours else _changed(repo, ours, theirs)
        return ComputedMerge(tree, (), files, fast_forward=tip != ours, nothing=tip == ours)
    if git_version() >= MERGE_TREE:
        return _with_merge_tree(repo, ours, theirs)
    return merge_in_scratch(repo, ours=ours, theirs=theirs)


def _with_merge_tree(repo: Repository, ours: str, theirs: str) -> ComputedMerge:
    """Source: git-merge-tree(1), "OUTPUT": tree, conflicted files, messages, NUL between the parts."""
    answer = run_git(
        repo.root, "merge-tree", "--write-tree", "-z", "--messages", ours, theirs,
        accept=(0, 1), timeout_s=CHECKOUT_S,
    )  # fmt: skip
    tree, _, rest = answer.out.partition(b"\0")
    conflicts: tuple[Conflict, ...] = ()
    if answer.code:
        listed, _, messages = rest.partition(b"\0\0")
        entries = [IndexEntry.parse(record) for record in listed.split(b"\0") if record]
        conflicts = read_conflicts(repo, tree.decode(), entries, _messages(messages))
    return ComputedMerge(
        tree.decode(), conflicts, _changed(repo, ours, tree.decode()), fast_forward=False, nothing=False
    )


def _messages(out: bytes) -> list[tuple[tuple[bytes, ...], bytes]]:
    """Each message with the paths it is about: ``<count> <path>… <kind> <text>``."""
    fields = iter(out.split(b"\0"))
    found = []
    for count in fields:
        if not count.isdigit():
            break
        paths = tuple(next(fields) for _ in range(int(count)))
        next(fields)
        found.append((paths, next(fields)))
    return found


def merge_in_scratch(repo: Repository, *, ours: str, theirs: str) -> ComputedMerge:
    """Do the same in a worktree of its own, for a git without ``merge-tree --write-tree``."""
    with (
        tempfile.TemporaryDirectory(dir=repo.git_dir, prefix="agentorchestr-") as folder,
        scratch_worktree(repo, Path(folder, "merge"), ours) as tree,
    ):
        answer = run_with_identity(
            tree, "merge", "--no-ff", "--no-commit", "-q", theirs, accept=(0, 1), timeout_s=CHECKOUT_S
        )
        unmerged = run_git(tree, "ls-files", "-u", "-z").records
        if answer.code and not unmerged:
            raise GitError(f"{theirs[:12]} cannot be merged into {ours[:12]}: {answer.err or answer.text}")
        run_git(tree, "add", "-A", "-f", timeout_s=CHECKOUT_S)
        merged = run_git(tree, "write-tree").text
    entries = [IndexEntry.parse(record) for record in unmerged]
    conflicts = read_conflicts(repo, merged, entries, [])
    return ComputedMerge(merged, conflicts, _changed(repo, ours, merged), fast_forward=False, nothing=False)


def _changed(repo: Repository, old: str, new: str) -> tuple[str, ...]:
    answer = run_git(
        repo.root, "diff-tree", "-r", "--name-only", "--no-renames", "-z", old, new, timeout_s=CHECKOUT_S
    )
    return tuple(shown(name) for name in answer.records)


def tree_of(repo: Repository, commit: str) -> str:
    """The id of the tree that *commit* holds."""
    return run_git(repo.root, "rev-parse", "-q", "--verify", f"{commit}^{{tree}}").text


def commit_tree(repo: Repository, *, tree: str, parents: tuple[str, ...], message: str) -> str:
    """Make a commit of *tree* and return its id; no ref is moved."""
    words = [word for parent in parents for word in ("-p", parent)]
    text = message.encode(errors="backslashreplace")
    return run_with_identity(repo.root, "commit-tree", tree, *words, "-F", "-", stdin=text).text


def move_branch(repo: Repository, branch: str, *, new: str, expected: str) -> None:
    """Move *branch* from *expected* to *new*, or not at all.

    A worktree that has one of our branches checked out follows, if that overwrites nothing.
    Raises ``RefMoved`` when the branch is elsewhere or gone.
    """
    ref = f"refs/heads/{branch}"
    moved = run_git(
        repo.root, "update-ref", "-m", "agentorchestr: merged", ref, new, expected, accept=(0, 1, 128)
    )
    if moved.code:
        tip = branch_tip(repo, branch)
        if tip == expected:
            raise GitError(f"the branch {branch} cannot be moved: {moved.err}")
        where = f"at {tip[:12]}" if tip else "gone"
        raise RefMoved(f"the branch {branch} is {where}, not at {expected[:12]}: somebody else moved it")
    if branch.startswith(OUR_BRANCHES):
        _follow(repo, branch, old=expected, new=new)


def fast_forward(worktree: Path, commit: str) -> bool:
    """Move what *worktree* has checked out forward to *commit*; False when that would lose anything."""
    # By default git overwrites ignored files here.
    words = ("merge", "--ff-only", "--no-overwrite-ignore", "--no-autostash", "--quiet", commit)
    return run_git(worktree, *words, timeout_s=CHECKOUT_S, accept=range(256)).code == 0


def in_the_way(tree: Path, old: str, new: str) -> set[bytes]:
    """What lies in *tree*, untracked or ignored, where a step from *old* to *new* adds a file."""
    names = set(
        run_git(tree, "diff-tree", "-r", "--no-renames", "-z", "--name-only", old, new).records,
    )
    words = ("diff-tree", "-r", "--no-renames", "-z", "--name-only", "--diff-filter=A", old, new)
    met = set()
    for name in run_git(tree, *words).records:
        parts = name.split(b"/")
        for above in (b"/".join(parts[:count]) for count in range(1, len(parts))):
            path = tree / os.fsdecode(above)
            # A tracked file that makes room for the folder is part of the step itself.
            if above not in names and (path.is_symlink() or path.is_file()):
                met.add(above)
        if os.path.lexists(tree / os.fsdecode(name)):
            met.add(name)
    return met


def _follow(repo: Repository, branch: str, *, old: str, new: str) -> None:
    """Bring worktrees of *branch* along, as a fast-forward would: local changes make git refuse."""
    for row in list_worktrees(repo):
        if row.branch == branch and not row.missing:
            # read-tree takes ignored files for worthless since git 2.34.
            if met := in_the_way(row.path, old, new):
                detail = ", ".join(shown(name) for name in sorted(met))
                logger.warning(
                    "worktree did not follow its branch", extra={"branch": branch, "detail": detail}
                )
                continue
            answer = run_git(
                row.path, "read-tree", "-m", "-u", old, new, accept=(0, 1, 128), timeout_s=CHECKOUT_S
            )
            if answer.code:
                logger.warning(
                    "worktree did not follow its branch", extra={"branch": branch, "detail": answer.err}
                )
