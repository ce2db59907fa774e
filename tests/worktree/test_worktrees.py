import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentorchestr.errors import GitError
from agentorchestr.worktree.making import noted
from agentorchestr.worktree.repository import Repository, branch_tip, find_repository, read_commit
from agentorchestr.worktree.worktrees import (
    WorktreePool,
    add_worktree,
    list_worktrees,
    scratch_worktree,
    scratch_worktrees,
)
from tests.conftest import git, make_repo

ADD_TWELVE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from agentorchestr.worktree.repository import find_repository, read_commit
from agentorchestr.worktree.worktrees import add_worktree
repo = find_repository(Path(sys.argv[1]))
tip = read_commit(repo, "HEAD")
def one(n):
    add_worktree(repo, Path(sys.argv[2]) / f"w{n}", branch=f"agentorchestr/{sys.argv[3]}/w{n}", commit=tip)
with ThreadPoolExecutor(12) as threads:
    list(threads.map(one, range(12)))
"""


@pytest.fixture
def with_submodule(repo: Path, tmp_path: Path) -> Repository:
    inner = make_repo(tmp_path / "inner", {"i": "1"})
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    git(repo, "commit", "-q", "-m", "submodule")
    return find_repository(repo)


def test_a_worktree_starts_on_its_branch_at_the_commit(found: Repository, tree: Path, start: str) -> None:
    assert git(tree, "symbolic-ref", "--short", "HEAD") == "agentorchestr/s1/w1"
    assert git(tree, "status", "--porcelain") == ""
    row = list_worktrees(found)[1]
    assert (row.path, row.branch, row.commit, row.missing) == (tree, "agentorchestr/s1/w1", start, False)


def test_odd_paths_make_worktrees_too(tmp_path: Path) -> None:
    repo = find_repository(make_repo(tmp_path / "we ird'\n\"é", {"a\nb é": "1"}))
    path = tmp_path / "tr ees\n'é" / "w1"
    add_worktree(repo, path, branch="agentorchestr/s1/w1", commit="HEAD")
    assert (path / "a\nb é").read_text() == "1"
    assert [row.path for row in list_worktrees(repo)] == [repo.root, path]


def test_a_worktree_of_a_linked_worktree(found: Repository, tmp_path: Path) -> None:
    git(found.root, "worktree", "add", "-q", str(tmp_path / "linked"))
    linked = find_repository(tmp_path / "linked")
    add_worktree(linked, tmp_path / "w1", branch="agentorchestr/s1/w1", commit="HEAD")
    assert (tmp_path / "w1/README.md").exists()


def test_no_hook_of_the_person_runs(found: Repository, add: Callable[[str], Path]) -> None:
    hook = found.git_dir / "hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hook-ran\n")
    hook.chmod(0o755)
    assert not (add("w1") / "hook-ran").exists()


def test_submodules_are_left_alone(with_submodule: Repository, tmp_path: Path) -> None:
    git(with_submodule.root, "config", "submodule.recurse", "true")
    add_worktree(with_submodule, tmp_path / "w", branch="agentorchestr/s1/w1", commit="HEAD")
    assert list((tmp_path / "w/sub").iterdir()) == []


def test_an_existing_branch_is_refused_and_stays(found: Repository, tmp_path: Path, start: str) -> None:
    git(found.root, "branch", "taken")
    with pytest.raises(GitError, match="exists"):
        add_worktree(found, tmp_path / "w", branch="taken", commit=start)
    assert branch_tip(found, "taken") == start
    assert not (tmp_path / "w").exists()


def test_an_existing_folder_is_refused_and_stays(found: Repository, tmp_path: Path, start: str) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/mine").write_text("mine")
    with pytest.raises(GitError, match="exists"):
        add_worktree(found, tmp_path / "w", branch="agentorchestr/s1/w1", commit=start)
    assert (tmp_path / "w/mine").read_text() == "mine"
    assert branch_tip(found, "agentorchestr/s1/w1") is None


def test_a_failed_checkout_leaves_neither_folder_nor_branch(repo: Path, tmp_path: Path) -> None:
    (repo / ".gitattributes").write_text("*.py filter=broken\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "filter")
    git(repo, "config", "filter.broken.smudge", "false")
    git(repo, "config", "filter.broken.required", "true")
    found = find_repository(repo)
    with pytest.raises(GitError):
        add_worktree(found, tmp_path / "w", branch="agentorchestr/s1/w1", commit="HEAD")
    assert not (tmp_path / "w").exists()
    assert branch_tip(found, "agentorchestr/s1/w1") is None
    assert len(list_worktrees(found)) == 1


def test_twelve_workers_of_two_sessions_are_added_at_once(found: Repository, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen(
            [sys.executable, "-c", ADD_TWELVE, str(found.root), str(tmp_path / session), session],
            cwd=root,
            stderr=subprocess.PIPE,
        )
        for session in ("s1", "s2")
    ]
    errors = [child.communicate(timeout=120)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], errors
    rows = list_worktrees(found)
    assert len({row.branch for row in rows}) == 25
    for row in rows:
        assert git(row.path, "status", "--porcelain") == ""


def test_a_scratch_worktree_is_clean_and_goes_with_what_checks_wrote(
    found: Repository, tmp_path: Path
) -> None:
    with scratch_worktree(found, tmp_path / "check", "HEAD") as path:
        assert (path / "README.md").exists()
        (path / "output").write_text("x")
    assert not path.exists()
    assert len(list_worktrees(found)) == 1
    assert git(found.root, "for-each-ref", "refs/agentorchestr") == ""


def test_a_scratch_worktree_replaces_one_a_crash_left(found: Repository, tmp_path: Path) -> None:
    left = scratch_worktree(found, tmp_path / "check", "HEAD")
    (left.__enter__() / "stale").write_text("x")
    with scratch_worktree(found, tmp_path / "check", "HEAD") as path:
        assert not (path / "stale").exists()


def test_a_scratch_worktree_replaces_one_that_was_cut_off_in_the_making(
    found: Repository, tmp_path: Path
) -> None:
    cut_off = noted(tmp_path / "check")
    cut_off.__enter__()
    git(found.root, "worktree", "add", "-q", "--detach", "--lock", str(tmp_path / "check"), "HEAD")
    assert scratch_worktrees(tmp_path, prefix="check") == [tmp_path / "check"]
    with scratch_worktree(found, tmp_path / "check", "HEAD") as path:
        assert (path / "README.md").exists()
    assert len(list_worktrees(found)) == 1
    assert scratch_worktrees(tmp_path, prefix="check") == []


def test_a_pooled_tree_becomes_the_worktree_at_the_tip(found: Repository, tmp_path: Path) -> None:
    pool = WorktreePool(found, tmp_path / "pool", size=2)
    pool.fill("HEAD")
    (found.root / "README.md").write_text("moved on\n")
    git(found.root, "rm", "-q", "src/app.py")
    git(found.root, "commit", "-qam", "second")
    tip = read_commit(found, "HEAD")
    assert pool.take(tmp_path / "t" / "w1", branch="agentorchestr/s1/w1", commit=tip)
    tree = tmp_path / "t" / "w1"
    assert git(tree, "symbolic-ref", "--short", "HEAD") == "agentorchestr/s1/w1"
    assert git(tree, "rev-parse", "HEAD") == tip
    assert git(tree, "status", "--porcelain") == ""
    assert (tree / "README.md").read_text() == "moved on\n"
    assert not (tree / "src/app.py").exists()
    assert tree in [row.path for row in list_worktrees(found)]


def test_filling_again_brings_ready_trees_to_the_tip(found: Repository, tmp_path: Path, start: str) -> None:
    pool = WorktreePool(found, tmp_path / "pool", size=1)
    pool.fill(start)
    (found.root / "new").write_text("x")
    git(found.root, "add", "-A")
    git(found.root, "commit", "-qm", "second")
    pool.fill(read_commit(found, "HEAD"))
    (ready,) = pool.ready()
    assert (ready / "new").exists()
    assert git(ready, "status", "--porcelain") == ""


def test_a_pooled_tree_with_a_submodule_entry_can_be_taken(
    with_submodule: Repository, tmp_path: Path
) -> None:
    pool = WorktreePool(with_submodule, tmp_path / "pool", size=1)
    pool.fill("HEAD")
    tip = read_commit(with_submodule, "HEAD")
    assert pool.take(tmp_path / "w1", branch="agentorchestr/s1/w1", commit=tip)
    assert git(tmp_path / "w1", "status", "--porcelain") == ""


def test_each_taker_gets_a_tree_of_its_own_and_the_last_none(
    found: Repository, tmp_path: Path, start: str
) -> None:
    pool = WorktreePool(found, tmp_path / "pool", size=3)
    pool.fill(start)

    def take(number: int) -> bool:
        return pool.take(tmp_path / f"w{number}", branch=f"agentorchestr/s1/w{number}", commit=start)

    with ThreadPoolExecutor(5) as threads:
        taken = list(threads.map(take, range(5)))
    assert sorted(taken) == [False, False, True, True, True]
    assert sum((tmp_path / f"w{n}" / "README.md").exists() for n in range(5)) == 3
    assert sum(branch_tip(found, f"agentorchestr/s1/w{n}") is not None for n in range(5)) == 3


def test_taking_for_a_branch_that_exists_is_refused(found: Repository, tmp_path: Path, start: str) -> None:
    pool = WorktreePool(found, tmp_path / "pool", size=1)
    pool.fill(start)
    git(found.root, "branch", "agentorchestr/s1/w1")
    with pytest.raises(GitError, match="cannot be created"):
        pool.take(tmp_path / "w1", branch="agentorchestr/s1/w1", commit=start)
    assert branch_tip(found, "agentorchestr/s1/w1") == start
    assert not (tmp_path / "w1").exists()


def test_the_next_pool_takes_over_ready_trees_and_removes_half_made_ones(
    found: Repository, tmp_path: Path, start: str
) -> None:
    folder = tmp_path / "pool"
    WorktreePool(found, folder, size=1).fill(start)
    (folder / "half.making").touch()
    git(found.root, "worktree", "add", "-q", "--detach", "--no-checkout", str(folder / "half"))
    (folder / "bare.making").touch()
    (folder / "bare").mkdir()
    heir = WorktreePool(found, folder, size=2)
    before = heir.ready()
    heir.fill(start)
    assert len(before) == 1
    assert set(before) < set(heir.ready())
    assert len(list(folder.iterdir())) == 2
    heir.drain()
    assert not folder.exists()
    assert len(list_worktrees(found)) == 1
