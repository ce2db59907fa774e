from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.errors import GitError
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.worktree.committing import FileChange, changed_files, commit_all, diff_text
from agentorchestr.worktree.repository import Repository
from agentorchestr.worktree.setup import apply_setup
from tests.conftest import git


def test_what_a_worker_left_is_committed_with_deletions_modes_links_and_odd_names(tree: Path) -> None:
    (tree / "README.md").unlink()
    (tree / "src/app.py").chmod(0o755)
    (tree / "li nk").symlink_to("nowhere")
    (tree / "odd\n\"name' é*").write_text("odd")
    (tree / ":(top)x").write_text("magic")
    done = commit_all(tree, message="work\n\n# kept")
    assert done is not None
    commit, files = done
    assert files == (":(top)x", "README.md", "li nk", "odd\n\"name' é*", "src/app.py")
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "rev-parse", "agentorchestr/s1/w1") == commit
    assert git(tree, "ls-tree", commit, "src/app.py").startswith("100755")
    assert git(tree, "log", "-1", "--format=%B %an") == "work\n\n# kept\n agentorchestr"


def test_nothing_to_commit_is_none(tree: Path) -> None:
    assert commit_all(tree, message="work") is None


def test_ignored_and_our_own_files_are_not_committed(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "x.log").write_text("x")
    (tree / ".agentorchestr").mkdir()
    (tree / ".agentorchestr/done.flag").write_text("done")
    done = commit_all(tree, message="work")
    assert done is not None
    assert done[1] == (".gitignore",)
    assert commit_all(tree, message="work") is None


def test_a_folder_that_became_a_link_and_a_file_that_became_a_folder(tree: Path) -> None:
    (tree / "src").rename(tree / "real")
    (tree / "src").symlink_to("real")
    (tree / "README.md").unlink()
    (tree / "README.md").mkdir()
    (tree / "README.md/inside").write_text("x")
    done = commit_all(tree, message="work")
    assert done is not None
    assert set(git(tree, "ls-tree", "-r", "--name-only", "HEAD").split()) == {
        "README.md/inside",
        "real/app.py",
        "src",
    }


def test_a_nested_repository_is_left_where_it_is(tree: Path) -> None:
    (tree / "dep").mkdir()
    git(tree / "dep", "init", "-q")
    (tree / "dep/f").write_text("f")
    (tree / "mine").write_text("x")
    done = commit_all(tree, message="work")
    assert done is not None
    assert done[1] == ("mine",)


def test_links_the_setup_made_are_not_committed_but_a_workers_own_are(
    found: Repository, tree: Path, tmp_path: Path
) -> None:
    (found.root / "node_modules").mkdir()
    apply_setup(found, tree, WorktreeSetup(link=("node_modules",)), {})
    (tree / "own").symlink_to(tmp_path)
    done = commit_all(tree, message="work")
    assert done is not None
    assert done[1] == ("own",)
    assert (tree / "node_modules").is_symlink()


def test_unresolved_conflicts_are_not_committed(tree: Path) -> None:
    git(tree, "checkout", "-q", "-b", "other")
    (tree / "README.md").write_text("theirs\n")
    git(tree, "commit", "-qam", "theirs")
    git(tree, "checkout", "-q", "agentorchestr/s1/w1")
    (tree / "README.md").write_text("ours\n")
    git(tree, "commit", "-qam", "ours")
    with pytest.raises(Exception, match="merge"):
        git(tree, "merge", "-q", "other")
    with pytest.raises(GitError, match=r"not resolved.*README\.md"):
        commit_all(tree, message="work")


def test_an_unfinished_rebase_is_not_committed_into(tree: Path) -> None:
    for text in ("one", "two"):
        (tree / "README.md").write_text(text)
        git(tree, "commit", "-qam", text)
    with pytest.raises(Exception, match="rebase"):
        git(tree, "rebase", "-q", "--exec", "false", "HEAD~1")
    (tree / "README.md").write_text("more")
    with pytest.raises(GitError, match="a rebase is not finished"):
        commit_all(tree, message="work")


def test_another_branch_than_expected_is_told(tree: Path) -> None:
    git(tree, "checkout", "-q", "-b", "other")
    (tree / "new").write_text("x")
    with pytest.raises(GitError, match="is on other, not on agentorchestr/s1/w1"):
        commit_all(tree, message="work", branch="agentorchestr/s1/w1")


def test_no_hook_and_no_signing_stands_in_the_way(found: Repository, tree: Path) -> None:
    hook = found.git_dir / "hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    git(found.root, "config", "commit.gpgsign", "true")
    git(found.root, "config", "gpg.program", "false")
    (tree / "new").write_text("x")
    assert commit_all(tree, message="work") is not None


def test_changed_files_are_told_since_the_merge_base(
    found: Repository, tree: Path, start: str, add: Callable[[str], Path]
) -> None:
    git(tree, "mv", "src/app.py", "src/main.py")
    (tree / "new").write_text("x")
    commit_all(tree, message="work")
    other = add("w2")
    (other / "README.md").write_text("base moved\n")
    commit_all(other, message="base")
    changes = changed_files(found, "agentorchestr/s1/w2", "agentorchestr/s1/w1")
    assert changes == (FileChange("A", "new"), FileChange("R", "src/main.py", "src/app.py"))


def test_a_long_diff_says_that_it_was_cut(found: Repository, tree: Path, start: str) -> None:
    (tree / "new").write_text("line\n" * 1000)
    (tree / "small").write_text("x\n")
    commit_all(tree, message="work")
    tip = "agentorchestr/s1/w1"
    cut = diff_text(found, start, tip, max_bytes=500)
    assert len(cut) < 600
    assert cut.splitlines()[-1].startswith("[cut: ")
    assert "[cut" not in diff_text(found, start, tip)
    assert "b/new" not in diff_text(found, start, tip, paths=("small",))
    assert diff_text(found, start, tip, paths=("*",)) == ""
    assert "2 files changed" in diff_text(found, start, tip, stat_only=True)
