"""Commits that only one worktree's own records reach: they go with it when it is removed."""

import re
from pathlib import Path

from agentorchestr.worktree.git import run_git

PSEUDO_REFS = (
    "HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "MERGE_AUTOSTASH",
    "rebase-merge/autostash",
    "rebase-merge/orig-head",
    "rebase-apply/autostash",
    "rebase-apply/orig-head",
)
LASTING = ("--branches", "--tags", "--remotes", "--glob=refs/agentorchestr")
OBJECT_ID = re.compile(r"[0-9a-f]{40,64}")


def orphan_heads(place: Path, admin: Path) -> tuple[str, ...]:
    """The newest of the commits that no branch, tag or snapshot holds.

    Such as work on a detached HEAD, what ``reset`` and ``amend`` left behind, and the stash of an
    unfinished rebase. *place* is the worktree, or its administration folder when the tree is gone.
    """
    known = _in_reflog(place, admin)
    own = ("refs/worktree", "refs/bisect", "refs/rewritten")
    known |= set(run_git(place, "for-each-ref", "--format=%(objectname)", *own).text.split())
    for name in PSEUDO_REFS:
        path = admin / name
        if path.is_file():
            known |= set(OBJECT_ID.findall(path.read_text(errors="replace")))
    if not known:
        return ()
    listing = "".join(f"{commit}\n" for commit in sorted(known)).encode()
    lines = run_git(
        place, "rev-list", "--parents", "--stdin", "--not", *LASTING, stdin=listing
    ).text.splitlines()
    parents = {parent for line in lines for parent in line.split()[1:]}
    return tuple(commit for commit in (line.split()[0] for line in lines) if commit not in parents)


def _in_reflog(place: Path, admin: Path) -> set[str]:
    """The commits that HEAD's own log knows; git tells none when its branch is gone, so we read it."""
    answer = run_git(place, "rev-list", "--walk-reflogs", "HEAD", accept=(0, 128, 129))
    log = admin / "logs" / "HEAD"
    if answer.code == 0 or not log.is_file():
        return set(answer.text.split()) if answer.code == 0 else set()
    ids = {
        word
        for line in log.read_text(errors="replace").splitlines()
        for word in line.partition("\t")[0].split()
    }
    listing = "".join(f"{one}\n" for one in sorted(ids) if OBJECT_ID.fullmatch(one)).encode()
    told = run_git(place, "cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=listing)
    return {line.split()[0] for line in told.text.splitlines() if line.endswith(" commit")}
