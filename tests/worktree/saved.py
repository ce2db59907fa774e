"""What is in a folder, and what a repository holds in any ref: the two sides of "nothing is lost"."""

import hashlib
import os
from pathlib import Path

from agentorchestr.worktree.repository import Repository
from tests.conftest import git

WORKTREE_MARK = ".git"


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def contents(tree: Path) -> dict[str, str]:
    """Each file and link below *tree*, the worktree's own mark left out, with the id git would give it."""
    found = {}
    for base, folders, files in os.walk(tree):
        links = [name for name in folders if Path(base, name).is_symlink()]
        for path in (Path(base, name) for name in (*files, *links)):
            if path != tree / WORKTREE_MARK:
                data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
                found[repr(str(path.relative_to(tree)))] = blob_id(data)
    return found


def held(repo: Repository) -> set[str]:
    """Every object that a ref of the repository reaches."""
    lines = git(repo.root, "rev-list", "--objects", "--all").splitlines()
    return {line.split(" ")[0] for line in lines}


def assert_saved(repo: Repository, before: dict[str, str]) -> None:
    there = held(repo)
    assert {name for name, content in before.items() if content not in there} == set()
