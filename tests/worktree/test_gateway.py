import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.errors import WorkAtRisk
from agentorchestr.worktree import gateway
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.repository import Repository, branch_tip, find_repository
from agentorchestr.worktree.worktrees import list_worktrees
from tests.conftest import git

Remove = Callable[..., str | None]
DESTRUCTIVE = re.compile(
    r'"remove"|reset.*--hard|"clean"|"branch", "-[dD]"|rmtree|--force|"-d"|\.unlink\(|\.rmdir\(|"prune"'
)


def test_a_clean_worktree_goes_without_a_snapshot_and_its_branch_stays(
    found: Repository, tree: Path, remove: Remove, start: str
) -> None:
    assert gateway.snapshot(found, tree, session_id="s1", worker_id="w1") is None
    assert remove(tree) is None
    assert not tree.exists()
    assert len(list_worktrees(found)) == 1
    assert branch_tip(found, "agentorchestr/s1/w1") == start


def test_ignored_files_over_the_limit_keep_the_worktree(
    found: Repository, tree: Path, remove: Remove
) -> None:
    (tree / ".gitignore").write_text("*.bin\n")
    (tree / "model.bin").write_bytes(b"x" * 2000)
    with pytest.raises(WorkAtRisk, match=r"too large to save.*model\.bin"):
        remove(tree, bulk_bytes=1000)
    assert (tree / "model.bin").exists()
    assert remove(tree, bulk_bytes=3000) is not None


@pytest.mark.parametrize("name", ["README.md", "untracked", "x.log", "folder/inside"])
def test_an_unreadable_file_keeps_the_worktree(
    found: Repository, tree: Path, remove: Remove, request: pytest.FixtureRequest, name: str
) -> None:
    (tree / ".gitignore").write_text("*.log\nfolder/\n")
    (tree / "folder").mkdir()
    path = tree / name
    path.write_text("secret")
    shut = path.parent if name == "folder/inside" else path
    shut.chmod(0)
    request.getfixturevalue("as_nobody")
    with pytest.raises(WorkAtRisk):
        remove(tree)
    shut.chmod(0o700)
    assert path.read_text() == "secret"


def test_folders_a_cache_made_read_only_do_not_stop_the_removal(
    found: Repository, tree: Path, remove: Remove, request: pytest.FixtureRequest
) -> None:
    (tree / "cache/mod").mkdir(parents=True)
    (tree / "cache/mod/file").write_text("x")
    (tree / "cache/mod").chmod(0o555)
    request.getfixturevalue("as_nobody")
    assert remove(tree) is not None
    assert not tree.exists()
    assert len(list_worktrees(found)) == 1


def test_a_worktree_whose_git_file_was_replaced_is_kept(
    found: Repository, tree: Path, remove: Remove
) -> None:
    (tree / ".git").unlink()
    git(tree, "init", "-q")
    with pytest.raises(WorkAtRisk, match="replaced"):
        remove(tree)
    assert (tree / "README.md").exists()


def test_the_persons_own_tree_is_never_removed(found: Repository, tmp_path: Path, remove: Remove) -> None:
    for path in (found.root, found.root.parent, tmp_path / "link"):
        if path.name == "link":
            path.symlink_to(found.root)
        with pytest.raises(WorkAtRisk):
            remove(path)
    git(found.root, "worktree", "add", "-q", str(tmp_path / "linked"))
    with pytest.raises(WorkAtRisk):
        gateway.remove_worktree(
            find_repository(tmp_path / "linked"), tmp_path / "linked", session_id="s", worker_id="w"
        )
    assert (found.root / "README.md").exists()


def test_a_locked_worktree_is_kept(found: Repository, tree: Path, remove: Remove) -> None:
    git(found.root, "worktree", "lock", str(tree))
    with pytest.raises(WorkAtRisk, match="locked"):
        remove(tree)
    assert tree.exists()


def test_a_worktree_that_was_moved_is_saved_and_removed(
    found: Repository, tree: Path, remove: Remove
) -> None:
    (tree / "new").write_text("x")
    moved = tree.with_name("moved")
    tree.rename(moved)
    assert remove(moved) is not None
    assert not moved.exists()
    assert len(list_worktrees(found)) == 1


def test_a_branch_goes_only_when_all_of_it_was_merged(found: Repository, tree: Path, remove: Remove) -> None:
    (tree / "new").write_text("x")
    commit_all(tree, message="work")
    name = "agentorchestr/s1/w1"
    remove(tree)
    assert not gateway.delete_branch(found, name, merged_into="main")
    assert branch_tip(found, name) is not None
    git(found.root, "merge", "-q", name)
    git(found.root, "worktree", "add", "-q", str(tree), name)
    assert not gateway.delete_branch(found, name, merged_into="main")
    remove(tree)
    assert gateway.delete_branch(found, name, merged_into="main")
    assert not gateway.delete_branch(found, name, merged_into="main")
    git(found.root, "branch", "mine")
    with pytest.raises(WorkAtRisk):
        gateway.delete_branch(found, "mine", merged_into="main")


def test_prune_drops_our_records_only(found: Repository, tree: Path, tmp_path: Path) -> None:
    git(found.root, "worktree", "add", "-q", str(tmp_path / "usb/mine"), "-b", "mine")
    for path in (tree, tmp_path / "usb/mine"):
        path.rename(path.with_name("away"))
    assert gateway.prune(found) == (tree,)
    assert [row.branch for row in list_worktrees(found)] == ["main", "mine"]


def test_a_state_folder_goes_only_inside_ours_and_without_worktrees(
    found: Repository, tree: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    (state / "session/agent").mkdir(parents=True)
    (state / "link").symlink_to(tmp_path)
    for path in (state, tmp_path / "trees", state / "link", state / "session/../.."):
        with pytest.raises(WorkAtRisk):
            gateway.remove_folder(path, inside=state)
    with pytest.raises(WorkAtRisk, match="a worktree in it"):
        gateway.remove_folder(tree.parent, inside=tmp_path)
    gateway.remove_folder(state / "session", inside=state)
    gateway.remove_folder(state / "session", inside=state)
    assert sorted(path.name for path in state.iterdir()) == ["link"]
    assert tree.exists()


@pytest.mark.usefixtures("as_nobody")
def test_a_worktree_that_cannot_be_removed_is_explained_and_its_work_is_saved(
    found: Repository, tree: Path, remove: Remove
) -> None:
    (tree / "work").write_text("mine")
    tree.parent.chmod(0o555)
    with pytest.raises(WorkAtRisk, match=r"could not be removed.*saved in refs/agentorchestr") as caught:
        remove(tree)
    tree.parent.chmod(0o755)
    assert tree.is_dir()
    assert "sudo rm -rf" in caught.value.hint


@pytest.mark.usefixtures("as_nobody")
def test_a_state_folder_that_cannot_be_removed_is_explained(tmp_path: Path) -> None:
    (tmp_path / "state/session").mkdir(parents=True)
    (tmp_path / "state").chmod(0o555)
    with pytest.raises(WorkAtRisk, match="could not be removed"):
        gateway.remove_folder(tmp_path / "state/session", inside=tmp_path / "state")
    (tmp_path / "state").chmod(0o755)


def test_only_the_gateway_holds_destructive_calls() -> None:
    package = Path(gateway.__file__).parents[1]
    allowed = {
        package / "worktree/gateway.py",
        package / "worktree/pool.py",  # removes its own empty folder
        package / "worktree/making.py",  # unlinks its own notes
    }
    found = {
        path.name
        for path in (package / "worktree").glob("*.py")
        if path not in allowed and DESTRUCTIVE.search(path.read_text())
    }
    assert found == {"repository.py"}  # "update-index --force-remove": an entry of an index, no file
    removals = {
        name: set(
            re.findall(r"[\w.]+\.(?:unlink|rmdir|rmtree)\(", (package / f"worktree/{name}.py").read_text())
        )
        for name in ("pool", "making")
    }
    assert removals == {"pool": {"self._folder.rmdir("}, "making": {"note.unlink("}}
