from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.errors import GitError, RefMoved
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.merging import (
    ComputedMerge,
    commit_tree,
    compute_merge,
    fast_forward,
    merge_in_scratch,
    move_branch,
)
from agentorchestr.worktree.repository import Repository, branch_tip, create_branch
from agentorchestr.worktree.worktrees import add_worktree, list_worktrees
from tests.conftest import git

OURS, THEIRS = "agentorchestr/s1/w1", "agentorchestr/s1/w2"
Merge = Callable[..., ComputedMerge]
both_ways = pytest.mark.parametrize("merge", [compute_merge, merge_in_scratch])


@pytest.fixture
def sides(add: Callable[[str], Path]) -> tuple[Path, Path]:
    return add("w1"), add("w2")


def commit(tree: Path, files: dict[str, str | bytes | None]) -> None:
    for name, text in files.items():
        path = tree / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    commit_all(tree, message="work")


@both_ways
def test_a_clean_merge_holds_both_sides(found: Repository, sides: tuple[Path, Path], merge: Merge) -> None:
    commit(sides[0], {"README.md": "ours\n"})
    commit(sides[1], {"new é\n'x": "theirs\n", "src/app.py": None})
    merged = merge(found, ours=OURS, theirs=THEIRS)
    assert merged.conflicts == ()
    assert (merged.fast_forward, merged.nothing) == (False, False)
    assert set(merged.files) == {"new é\n'x", "src/app.py"}
    assert git(found.root, "show", f"{merged.tree}:README.md") == "ours"
    assert git(found.root, "show", f"{merged.tree}:new é\n'x") == "theirs"
    assert len(list_worktrees(found)) == 3


@both_ways
def test_conflicts_are_told_as_file_kind_and_hunk(
    found: Repository, sides: tuple[Path, Path], merge: Merge
) -> None:
    commit(sides[0], {"README.md": "ours\n", "both": "a\n", "src/app.py": "VALUE = 2\n", "bin": b"\0a"})
    commit(sides[1], {"README.md": "theirs\n", "both": "b\n", "src/app.py": None, "bin": b"\0b"})
    merged = merge(found, ours=OURS, theirs=THEIRS)
    assert {c.path: c.kind for c in merged.conflicts} == {
        "README.md": "content",
        "both": "add/add",
        "src/app.py": "modify/delete",
        "bin": "binary",
    }
    hunk = {c.path: c.hunks for c in merged.conflicts}["README.md"]
    assert hunk.startswith("@@ line 1\n<<<<<<< ")
    assert "\nours\n=======\ntheirs\n>>>>>>> " in hunk
    assert git(sides[0], "status", "--porcelain") == ""
    assert len(list_worktrees(found)) == 3


@both_ways
def test_a_renamed_file_takes_the_edit_of_the_other_side(
    found: Repository, sides: tuple[Path, Path], merge: Merge
) -> None:
    body = "".join(f"line {n}\n" for n in range(20))
    commit(sides[0], {"long": body})
    git(sides[1], "merge", "-q", OURS)
    git(sides[0], "mv", "long", "moved")
    commit(sides[0], {})
    commit(sides[1], {"long": body + "edit\n"})
    merged = merge(found, ours=OURS, theirs=THEIRS)
    assert merged.conflicts == ()
    assert merged.files == ("moved",)
    assert git(found.root, "show", f"{merged.tree}:moved").endswith("edit")


def test_a_rename_against_a_deletion_names_git_s_own_word(
    found: Repository, sides: tuple[Path, Path]
) -> None:
    git(sides[0], "mv", "src/app.py", "src/main.py")
    commit(sides[0], {"src/x": "x"})
    commit(sides[1], {"src/app.py": None})
    merged = compute_merge(found, ours=OURS, theirs=THEIRS)
    assert [(c.path, c.kind) for c in merged.conflicts] == [("src/main.py", "rename/delete")]


def test_long_hunks_are_cut(found: Repository, sides: tuple[Path, Path]) -> None:
    for tree, word in zip(sides, ("ours", "theirs"), strict=True):
        commit(tree, {"README.md": f"{word} line\n" * 1000})
    (conflict,) = compute_merge(found, ours=OURS, theirs=THEIRS).conflicts
    assert len(conflict.hunks) <= 4096
    assert conflict.hunks.endswith("[cut]")


def test_a_fast_forward_and_nothing_to_merge_are_told(
    found: Repository, sides: tuple[Path, Path], start: str
) -> None:
    commit(sides[1], {"new": "x"})
    forward = compute_merge(found, ours=OURS, theirs=THEIRS)
    assert (forward.fast_forward, forward.nothing, forward.files) == (True, False, ("new",))
    backward = compute_merge(found, ours=THEIRS, theirs=OURS)
    assert (backward.fast_forward, backward.nothing, backward.files) == (False, True, ())
    same = compute_merge(found, ours=OURS, theirs=start)
    assert same.nothing


def test_histories_without_a_common_commit_are_refused(found: Repository, sides: tuple[Path, Path]) -> None:
    git(sides[0], "checkout", "-q", "--orphan", "alone")
    git(sides[0], "commit", "-qm", "alone")
    with pytest.raises(GitError, match="no history in common"):
        compute_merge(found, ours=OURS, theirs="alone")


def test_a_merge_commit_has_its_parents_and_moves_nothing(
    found: Repository, sides: tuple[Path, Path], start: str
) -> None:
    tree = git(found.root, "rev-parse", "HEAD^{tree}")
    made = commit_tree(found, tree=tree, parents=(start,), message="merge w2 é")
    assert git(found.root, "log", "-1", "--format=%P %s", made) == f"{start} merge w2 é"
    assert branch_tip(found, "main") == start


def test_a_branch_moves_only_from_where_it_is_expected(
    found: Repository, sides: tuple[Path, Path], start: str
) -> None:
    commit(sides[1], {"new": "x"})
    tip = branch_tip(found, THEIRS)
    assert tip is not None
    create_branch(found, "agentorchestr/s1/integration", start)
    move_branch(found, "agentorchestr/s1/integration", new=tip, expected=start)
    assert branch_tip(found, "agentorchestr/s1/integration") == tip
    with pytest.raises(RefMoved, match="somebody else moved it"):
        move_branch(found, "agentorchestr/s1/integration", new=tip, expected=start)
    with pytest.raises(RefMoved, match="gone"):
        move_branch(found, "agentorchestr/s1/none", new=tip, expected=start)


def test_a_worktree_of_the_branch_follows_but_keeps_local_changes(
    found: Repository, sides: tuple[Path, Path], tmp_path: Path, start: str
) -> None:
    lead = tmp_path / "lead"
    add_worktree(found, lead, branch="agentorchestr/s1/integration", commit=start)
    commit(sides[1], {"new": "x"})
    tip = branch_tip(found, THEIRS)
    assert tip is not None
    (lead / "README.md").write_text("notes of the lead\n")
    move_branch(found, "agentorchestr/s1/integration", new=tip, expected=start)
    assert (lead / "new").read_text() == "x"
    assert git(lead, "status", "--porcelain") == "M README.md"
    commit(sides[1], {"README.md": "theirs\n"})
    newer = branch_tip(found, THEIRS)
    assert newer is not None
    move_branch(found, "agentorchestr/s1/integration", new=newer, expected=tip)
    assert (lead / "README.md").read_text() == "notes of the lead\n"


def test_a_worktree_that_would_lose_an_ignored_file_does_not_follow(
    found: Repository, sides: tuple[Path, Path], tmp_path: Path, start: str
) -> None:
    lead = tmp_path / "lead"
    add_worktree(found, lead, branch="agentorchestr/s1/integration", commit=start)
    (found.git_dir / "info").mkdir(exist_ok=True)
    (found.git_dir / "info/exclude").write_text("local.cfg\n/new\n")
    (lead / "local.cfg").write_text("mine")
    commit(sides[1], {"README.md": "theirs\n"})
    (sides[1] / "local.cfg").write_text("theirs")
    git(sides[1], "add", "-f", "local.cfg")
    git(sides[1], "commit", "-qm", "config")
    tip = branch_tip(found, THEIRS)
    assert tip is not None
    move_branch(found, "agentorchestr/s1/integration", new=tip, expected=start)
    assert branch_tip(found, "agentorchestr/s1/integration") == tip
    assert (lead / "local.cfg").read_text() == "mine"
    git(sides[0], "merge", "-q", tip)
    (sides[0] / "local.cfg").write_text("again")
    git(sides[0], "commit", "-qam", "again")
    other = tmp_path / "other"
    add_worktree(found, other, branch="agentorchestr/s1/other", commit=start)
    (other / "local.cfg").write_text("mine")
    assert not fast_forward(other, OURS)
    assert (other / "local.cfg").read_text() == "mine"
