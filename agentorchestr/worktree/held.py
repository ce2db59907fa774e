"""Tell which files of a worktree a commit holds exactly as they are: those are saved already."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from agentorchestr.worktree.git import CHECKOUT_S, run_git
from agentorchestr.worktree.repository import Repository, is_there, stage, temporary_index

GITLINK = "160000"

Entry = tuple[str, str] | None
"""Mode and object of a file; None where there is none."""


def held_by(tree: Path, commit: str, names: Collection[bytes], *, head: str) -> set[bytes]:
    """Those of *names* that are in *tree* byte for byte what *commit* holds, a missing file included.

    What is staged for such a name is in *head* or *commit* too, so nothing of it is known to git's index
    alone. A nested repository is never held. Changes nothing.
    """
    plain = [name for name in names if not name.endswith(b"/") and _is_plain(tree, name)]
    staged = read_index(tree)
    with temporary_index(tree) as env:
        stage(tree, plain, env=env)
        now = read_index(tree, env=env)
    saved, before = read_tree(tree, commit), read_tree(tree, head)
    return {
        name
        for name in plain
        if now.get(name) == saved.get(name)
        and staged.get(name) in (saved.get(name), before.get(name))
        and GITLINK not in {entry[0] for entry in (now.get(name), staged.get(name)) if entry}
    }


def _is_plain(tree: Path, name: bytes) -> bool:
    """Whether *name* is a file, a link, or nothing at all: what git stores as one entry."""
    path = tree / os.fsdecode(name)
    return not is_there(tree, name) or path.is_symlink() or path.is_file()


def read_index(tree: Path, *, env: Mapping[str, str] | None = None) -> dict[bytes, Entry]:
    """What the index of *tree* holds; an unmerged file has an entry that equals none of a commit."""
    found: dict[bytes, Entry] = {}
    for record in run_git(tree, "ls-files", "-s", "-z", env=env, timeout_s=CHECKOUT_S).records:
        head, _, name = record.partition(b"\t")
        mode, content, stage_number = head.decode().split(" ")
        found[name] = (mode, content if stage_number == "0" else f"{content} stage {stage_number}")
    return found


def read_tree(tree: Path, commit: str) -> dict[bytes, Entry]:
    """All files of *commit*."""
    found: dict[bytes, Entry] = {}
    for record in run_git(tree, "ls-tree", "-r", "-z", commit, timeout_s=CHECKOUT_S).records:
        head, _, name = record.partition(b"\t")
        mode, _, content = head.decode().split(" ")
        found[name] = (mode, content)
    return found


def tree_with(repo: Repository, tree: Path, base: str, names: Collection[bytes], *, of: str) -> str:
    """Make the tree of *base* with *names* as the commit *of* holds them. No ref, index or file changes."""
    entries = read_tree(tree, of)
    with temporary_index(tree) as env:
        run_git(tree, "read-tree", base, env=env, timeout_s=CHECKOUT_S)
        write_index(tree, {name: entries.get(name) for name in names}, env=env)
        return run_git(repo.root, "write-tree", env=env).text


def write_index(tree: Path, entries: Mapping[bytes, Entry], *, env: Mapping[str, str] | None = None) -> None:
    """Set *entries* in the index of *tree*; no file changes."""
    # Deletions first: what lies below a folder that is a file now would be in the way of its successor.
    empty = "0" * len(run_git(tree, "rev-parse", "HEAD").text)
    lines = [f"0 {empty}\t".encode() + name for name, entry in entries.items() if entry is None]
    lines += [
        f"{entry[0]} {entry[1]}\t".encode() + name for name, entry in entries.items() if entry is not None
    ]
    listing = b"".join(line + b"\0" for line in lines)
    run_git(tree, "update-index", "--replace", "-z", "--index-info", stdin=listing, env=env)
