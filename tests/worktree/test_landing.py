from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.errors import RefMoved, UsageError, WorkAtRisk
from agentorchestr.worktree import gateway
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.landing import LandResult, land, merge_for_landing
from agentorchestr.worktree.merging import commit_tree, tree_of
from agentorchestr.worktree.repository import Repository, branch_tip, commit_dirty, read_commit
from agentorchestr.worktree.snapshots import list_snapshots
from agentorchestr.worktree.worktrees import add_worktree
from tests.conftest import git


@pytest.fixture
def tip(tree: Path) -> str:
    """A verified tip that changes README.md and adds local.cfg and new/file."""
    (tree / "README.md").write_text("landed\n")
    (tree / "local.cfg").write_text("landed\n")
    (tree / "new").mkdir()
    (tree / "new/file").write_text("landed\n")
    done = commit_all(tree, message="work")
    assert done is not None
    return done[0]


Land = Callable[[], LandResult]


@pytest.fixture
def landing(found: Repository, tip: str, start: str) -> Land:
    return lambda: land(found, integration_tip=tip, base_branch="main", base_commit=start)


def refused(landing: Land, found: Repository, start: str, match: str) -> WorkAtRisk:
    before = git(found.root, "status", "--porcelain", "--ignored")
    with pytest.raises(WorkAtRisk, match=match) as caught:
        landing()
    assert "git refused" not in str(caught.value)
    assert branch_tip(found, "main") == start
    assert git(found.root, "status", "--porcelain", "--ignored") == before
    return caught.value


def test_the_persons_branch_and_tree_move_forward_and_other_dirty_files_stay(
    found: Repository, landing: Land, tip: str
) -> None:
    (found.root / "src/app.py").write_text("VALUE = 'mine'\n")
    (found.root / "untracked").write_text("mine")
    result = landing()
    assert (result.branch, result.commit, result.moved) == ("main", tip, True)
    assert branch_tip(found, "main") == tip
    assert (found.root / "README.md").read_text() == "landed\n"
    assert (found.root / "src/app.py").read_text() == "VALUE = 'mine'\n"
    assert git(found.root, "status", "--porcelain") == "M src/app.py\n?? untracked"


def test_landing_twice_moves_nothing(landing: Land) -> None:
    assert landing().moved
    assert not landing().moved


def test_a_dirty_file_of_the_change_is_not_overwritten(
    found: Repository, landing: Land, start: str, tip: str
) -> None:
    (found.root / "README.md").write_text("mine\n")
    error = refused(landing, found, start, r"README\.md")
    assert (found.root / "README.md").read_text() == "mine\n"
    assert "merge --ff-only" in error.hint
    assert "stash -u" in error.hint
    git(found.root, "stash", "-u")
    git(found.root, "merge", "--ff-only", tip)


def test_a_staged_file_of_the_change_is_not_overwritten(found: Repository, landing: Land, start: str) -> None:
    (found.root / "README.md").write_text("mine\n")
    git(found.root, "add", "README.md")
    refused(landing, found, start, r"README\.md")


def test_an_untracked_file_is_not_overwritten(found: Repository, landing: Land, start: str) -> None:
    (found.root / "local.cfg").write_text("mine\n")
    refused(landing, found, start, r"local\.cfg")


def test_an_ignored_file_is_not_overwritten(found: Repository, landing: Land, start: str) -> None:
    (found.git_dir / "info").mkdir(exist_ok=True)
    (found.git_dir / "info/exclude").write_text("local.cfg\n")
    (found.root / "local.cfg").write_text("mine\n")
    refused(landing, found, start, r"local\.cfg")
    assert (found.root / "local.cfg").read_text() == "mine\n"


def test_an_ignored_file_in_the_place_of_a_folder_is_not_overwritten(
    found: Repository, landing: Land, start: str
) -> None:
    (found.git_dir / "info").mkdir(exist_ok=True)
    (found.git_dir / "info/exclude").write_text("/new\n")
    (found.root / "new").write_text("mine\n")
    refused(landing, found, start, "new")
    assert (found.root / "new").read_text() == "mine\n"


def test_a_file_that_git_was_told_not_to_watch_is_not_overwritten(
    found: Repository, landing: Land, start: str
) -> None:
    git(found.root, "update-index", "--assume-unchanged", "README.md")
    (found.root / "README.md").write_text("mine\n")
    refused(landing, found, start, r"README\.md")
    assert (found.root / "README.md").read_text() == "mine\n"


def test_a_branch_that_is_not_checked_out_moves_by_itself(found: Repository, landing: Land, tip: str) -> None:
    git(found.root, "checkout", "-q", "-b", "elsewhere")
    (found.root / "README.md").write_text("mine\n")
    assert landing().moved
    assert branch_tip(found, "main") == tip
    assert (found.root / "README.md").read_text() == "mine\n"


def test_a_branch_checked_out_in_another_worktree_lands_there(
    found: Repository, landing: Land, tmp_path: Path
) -> None:
    git(found.root, "checkout", "-q", "-b", "elsewhere")
    git(found.root, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    assert landing().moved
    assert (tmp_path / "linked/README.md").read_text() == "landed\n"
    assert (found.root / "README.md").read_text() == "a sample\n"


def test_a_detached_base_gets_the_command_instead(found: Repository, tip: str, start: str) -> None:
    with pytest.raises(UsageError, match="detached HEAD") as caught:
        land(found, integration_tip=tip, base_branch="", base_commit=start)
    assert f"switch -c NEW_BRANCH {tip[:12]}" in caught.value.hint


def test_a_branch_that_is_gone_gets_the_command_instead(found: Repository, landing: Land) -> None:
    git(found.root, "checkout", "-q", "-b", "elsewhere")
    git(found.root, "branch", "-D", "main")
    with pytest.raises(UsageError, match="is gone"):
        landing()


def test_a_branch_that_is_being_rebased_is_left_alone(found: Repository, landing: Land, start: str) -> None:
    git(found.root, "commit", "-q", "--allow-empty", "-m", "mine")
    with pytest.raises(Exception, match="rebase"):
        git(found.root, "rebase", "-q", "--exec", "false", "HEAD~1")
    git(found.root, "update-ref", "refs/heads/main", start)
    refused(landing, found, start, "being rebased")


def test_a_base_that_moved_is_merged_for_verification_and_then_landed(
    found: Repository, landing: Land, tip: str
) -> None:
    (found.root / "src/app.py").write_text("VALUE = 'moved'\n")
    git(found.root, "commit", "-qam", "meanwhile")
    moved = read_commit(found, "main")
    with pytest.raises(RefMoved, match="commits of its own"):
        landing()
    merged = merge_for_landing(found, integration_tip=tip, base_branch="main", message="land")
    assert branch_tip(found, "main") == moved
    assert git(found.root, "log", "-1", "--format=%P", merged) == f"{moved} {tip}"
    land(found, integration_tip=merged, base_branch="main", base_commit=moved)
    assert (found.root / "README.md").read_text() == "landed\n"
    assert (found.root / "src/app.py").read_text() == "VALUE = 'moved'\n"


def test_a_base_that_moved_and_conflicts_names_the_files(found: Repository, tip: str) -> None:
    (found.root / "README.md").write_text("meanwhile\n")
    git(found.root, "commit", "-qam", "meanwhile")
    moved = read_commit(found, "main")
    with pytest.raises(WorkAtRisk, match=r"README\.md \(content\)"):
        merge_for_landing(found, integration_tip=tip, base_branch="main", message="land")
    assert branch_tip(found, "main") == moved
    assert git(found.root, "status", "--porcelain") == ""


def test_a_base_that_did_not_move_needs_no_merge(found: Repository, tip: str, start: str) -> None:
    assert merge_for_landing(found, integration_tip=tip, base_branch="main", message="land") == tip


TakenAlong = Callable[[], tuple[str, str]]


@pytest.fixture
def taken(found: Repository, start: str, tmp_path: Path) -> TakenAlong:
    """Starts a session from the person's uncommitted files and lets a worker change them further.

    Gives the commit that took them along and the tip; the tip changes README.md and draft, which differ, and
    leaves other, which differs too.
    """

    def begin() -> tuple[str, str]:
        (found.root / "README.md").write_text("mine\n")
        (found.root / "draft").write_text("draft\n")
        (found.root / "other").write_text("other\n")
        (found.root / "src/app.py").unlink()
        along = commit_dirty(found, base_commit=start, message="along")
        tree = tmp_path / "trees/w9"
        add_worktree(found, tree, branch="agentorchestr/s1/w9", commit=along)
        (tree / "README.md").write_text("mine\nlanded\n")
        (tree / "draft").write_text("draft\nlanded\n")
        done = commit_all(tree, message="work")
        assert done is not None
        return along, done[0]

    return begin


def land_taken(found: Repository, along: str, tip: str) -> LandResult:
    return land(found, integration_tip=tip, base_branch="main", base_commit=along, session_id="s1")


def test_files_that_were_taken_along_and_not_changed_since_follow(
    found: Repository, taken: TakenAlong
) -> None:
    along, tip = taken()
    (found.root / "later").write_text("not part of it\n")
    git(found.root, "add", "later")
    assert land_taken(found, along, tip).moved
    assert branch_tip(found, "main") == tip
    assert (found.root / "README.md").read_text() == "mine\nlanded\n"
    assert (found.root / "draft").read_text() == "draft\nlanded\n"
    assert not (found.root / "src/app.py").exists()
    assert git(found.root, "status", "--porcelain") == "A  later"
    (row,) = list_snapshots(found, "s1")
    assert git(found.root, "show", f"{row.ref}:draft") == "draft"


@pytest.mark.parametrize("staged", [False, True])
@pytest.mark.parametrize("name", ["README.md", "draft", "other"])
def test_a_file_that_was_taken_along_and_changed_again_is_not_overwritten(
    found: Repository, taken: TakenAlong, start: str, name: str, *, staged: bool
) -> None:
    along, tip = taken()
    (found.root / name).write_text("changed again\n")
    if staged:
        # Only the index knows it: the file is again as it was taken along.
        git(found.root, "add", name)
        git(found.root, "restore", "--source", along, "--worktree", name)
    refused(lambda: land_taken(found, along, tip), found, start, name)
    kept = git(found.root, "show", f":{name}") if staged else (found.root / name).read_text().strip()
    assert kept == "changed again"


def test_a_file_that_was_taken_along_and_is_a_folder_or_link_now_is_not_overwritten(
    found: Repository, taken: TakenAlong, start: str
) -> None:
    along, tip = taken()
    (found.root / "draft").unlink()
    (found.root / "draft").symlink_to("other")
    refused(lambda: land_taken(found, along, tip), found, start, "draft")
    (found.root / "draft").unlink()
    (found.root / "draft").mkdir()
    (found.root / "draft/inside").write_text("mine")
    refused(lambda: land_taken(found, along, tip), found, start, "draft")
    assert (found.root / "draft/inside").read_text() == "mine"


def test_a_file_put_back_to_what_the_base_holds_is_still_the_persons(
    found: Repository, tip: str, start: str
) -> None:
    git(found.root, "rm", "-q", "README.md")
    git(found.root, "commit", "-q", "-m", "without it")
    moved = read_commit(found, "main")
    git(found.root, "checkout", start, "--", "README.md")
    both = commit_tree(found, tree=tree_of(found, tip), parents=(moved, tip), message="both")
    with pytest.raises(WorkAtRisk, match=r"README\.md"):
        land(found, integration_tip=both, base_branch="main", base_commit=start)
    assert branch_tip(found, "main") == moved


def test_a_branch_that_moves_during_the_landing_leaves_tree_and_index_as_they_were(
    found: Repository, taken: TakenAlong, start: str
) -> None:
    along, tip = taken()
    elsewhere = commit_tree(found, tree=tree_of(found, start), parents=(start,), message="theirs")
    before = git(found.root, "status", "--porcelain")
    git(found.root, "update-ref", "refs/heads/main", elsewhere)
    names = [b"README.md", b"draft", b"other", b"src/app.py"]
    with pytest.raises(WorkAtRisk, match="left as it is"):
        gateway.overwrite_held(found, found.root, names, held=along, branch="main", old=start, new=tip)
    assert branch_tip(found, "main") == elsewhere
    assert git(found.root, "status", "--porcelain") == before
    assert (found.root / "draft").read_text() == "draft\n"


def test_files_that_differ_from_what_was_taken_along_are_refused_by_the_gateway_itself(
    found: Repository, taken: TakenAlong, start: str
) -> None:
    along, tip = taken()
    (found.root / "draft").write_text("changed meanwhile\n")
    before = git(found.root, "status", "--porcelain")
    with pytest.raises(WorkAtRisk, match="changed during the landing"):
        gateway.overwrite_held(
            found, found.root, [b"README.md", b"draft"], held=along, branch="main", old=start, new=tip
        )
    assert git(found.root, "status", "--porcelain") == before
    assert (found.root / "draft").read_text() == "changed meanwhile\n"
