"""What was saved can be listed, looked at and brought back, and nothing is written over."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.worktree.repository import Repository
from agentorchestr.worktree.restoring import SavedStates
from tests.conftest import git
from tests.worktree.saved import contents

Remove = Callable[..., str | None]


def fill(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.log\nbuild/\n")
    (tree / "README.md").write_bytes(b"changed\r\n")
    (tree / "src/app.py").unlink()
    (tree / "x.log").write_bytes(b"\0ignored")
    (tree / "dir").mkdir()
    (tree / "dir/odd\nn'ame").write_bytes(b"")
    (tree / "dir/run").write_text("#!/bin/sh\n")
    (tree / "dir/run").chmod(0o755)
    (tree / "link").symlink_to("/nowhere")
    (tree / "dep").mkdir()
    git(tree / "dep", "init", "-q")
    (tree / "dep/inner").write_text("inner\n")


def test_a_snapshot_tells_what_it_holds_and_why(found: Repository, tree: Path, remove: Remove) -> None:
    (tree / ".gitignore").write_text("*.log\nnode_modules/\n")
    git(tree, "add", ".gitignore")
    git(tree, "commit", "-q", "-m", "ignore")
    head = git(tree, "rev-parse", "HEAD")
    git(tree, "checkout", "-q", "--detach")
    git(tree, "commit", "-q", "--allow-empty", "-m", "on no branch")
    (tree / "README.md").write_text("12345")
    (tree / "src/app.py").unlink()
    (tree / "x.log").write_text("123")
    (tree / "node_modules").mkdir()
    (tree / "node_modules/a").write_text("again")
    git(tree, "add", "README.md")
    (tree / "README.md").write_text("1234567")
    remove(tree)
    (state,) = SavedStates(found).listed("s1")
    assert (state.name, state.session_id, state.worker_id) == ("s1/w1/1", "s1", "w1")
    assert state.why == "before its worktree was removed"
    assert (state.files, state.deleted, state.saved_bytes) == (2, 1, 10)
    assert git(found.root, "rev-parse", f"{state.base}^") == head
    assert state.rebuilt == ("node_modules",)
    assert "x.log" in SavedStates(found).stat(state)
    assert "+1234567" in SavedStates(found).diff(state)


def test_a_restored_folder_holds_every_byte_of_the_tree(
    found: Repository, tree: Path, remove: Remove, tmp_path: Path
) -> None:
    fill(tree)
    before = contents(tree)
    remove(tree)
    states = SavedStates(found)
    state = states.find("w1/1")
    target = tmp_path / "back"
    states.to_folder(state, target)
    assert contents(target) == before
    assert os.access(target / "dir/run", os.X_OK)
    assert not os.access(target / "README.md", os.X_OK)
    assert git(target / "dep", "status", "--porcelain") == "?? inner"
    assert states.file(state, "README.md") == b"changed\r\n"
    assert states.file(state, "dep/.git/HEAD") == (target / "dep/.git/HEAD").read_bytes()
    with pytest.raises(UsageError, match="no file"):
        states.file(state, "src/app.py")


def test_nothing_is_written_over(found: Repository, tree: Path, remove: Remove, tmp_path: Path) -> None:
    (tree / "new").write_text("x")
    remove(tree)
    states = SavedStates(found)
    state = states.find("s1/w1/1")
    (tmp_path / "mine").mkdir()
    for taken in (tmp_path / "mine", found.root, tmp_path / "no/such"):
        with pytest.raises(UsageError):
            states.to_folder(state, taken)
    for taken in ("main", "a..b", "-x", ""):
        with pytest.raises(UsageError):
            states.to_branch(state, taken)
    states.to_branch(state, "restored/w1")
    assert git(found.root, "show", "restored/w1:new") == "x"
    assert git(found.root, "status", "--porcelain") == ""
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_snapshot_is_named_whole_or_by_an_end_that_fits_one(
    found: Repository, add: Callable[[str], Path], remove: Remove
) -> None:
    for worker in ("w1", "w11"):
        tree = add(worker)
        (tree / "new").write_text(worker)
        remove(tree)
    states = SavedStates(found)
    assert states.find("refs/agentorchestr/snapshots/s1/w1/1").worker_id == "w1"
    assert states.find("w11/1").worker_id == "w11"
    for wanted in ("", "s1", "w2/1", "s1/w1/2"):
        with pytest.raises(UsageError, match="snapshot"):
            states.find(wanted)


def test_a_tree_without_a_commit_is_compared_with_nothing(
    found: Repository, tree: Path, remove: Remove
) -> None:
    git(tree, "checkout", "-q", "--orphan", "agentorchestr/s1/other")
    git(tree, "rm", "-rqf", "--cached", ".")
    (tree / "new").write_text("1234")
    remove(tree)
    (state,) = SavedStates(found).listed()
    assert "new" in SavedStates(found).stat(state)
    assert state.saved_bytes >= 4
