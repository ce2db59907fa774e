import subprocess
from pathlib import Path

import pytest

from agentorchestr.errors import GitError, UsageError
from agentorchestr.worktree.git import run_git
from agentorchestr.worktree.repository import (
    Repository,
    branch_tip,
    commit_dirty,
    create_branch,
    dirty_files,
    find_repository,
    init_repository,
    read_commit,
    resolve_base,
)
from tests.conftest import git, make_repo

ODD = "we ird'\n\"$(x) é"


def test_a_repository_is_found_from_a_sub_directory(repo: Path) -> None:
    found = find_repository(repo / "src")
    assert (found.root, found.git_dir, found.project) == (repo, repo / ".git", repo / "src")


def test_a_path_with_spaces_quotes_newline_and_non_ascii_is_found(tmp_path: Path) -> None:
    root = make_repo(tmp_path / ODD / "repo", {"a": "1"})
    found = find_repository(root)
    assert found.root == root
    assert found.git_dir == root / ".git"
    assert "\n" not in found.key
    assert " " not in found.key


def test_a_linked_worktree_has_the_key_of_its_repository(repo: Path, tmp_path: Path) -> None:
    git(repo, "worktree", "add", "-q", str(tmp_path / "linked"))
    linked = find_repository(tmp_path / "linked")
    assert linked.root == tmp_path / "linked"
    assert linked.key == find_repository(repo).key


def test_a_submodule_is_a_repository_of_its_own(repo: Path, tmp_path: Path) -> None:
    outer = make_repo(tmp_path / "outer", {"o": "1"})
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repo), "sub")
    found = find_repository(outer / "sub")
    assert found.root == outer / "sub"
    assert found.git_dir == outer / ".git/modules/sub"


def test_two_repositories_of_one_name_have_different_keys(tmp_path: Path) -> None:
    keys = {find_repository(make_repo(tmp_path / name / "app", {"a": "1"})).key for name in "xy"}
    assert len(keys) == 2


def test_no_repository_offers_git_init(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository") as caught:
        find_repository(tmp_path)
    assert "--git-init" in caught.value.hint


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        find_repository(tmp_path / "nowhere")


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "b.git")
    with pytest.raises(UsageError, match="bare"):
        find_repository(tmp_path / "b.git")


def test_the_command_for_a_repository_without_commit_really_fixes_it(tmp_path: Path) -> None:
    root = tmp_path / ODD
    root.mkdir()
    git(root, "init", "-q")
    with pytest.raises(UsageError, match="no commit yet") as caught:
        find_repository(root)
    command = caught.value.hint.split(": ", 1)[1]
    run_git(root, "config", "user.email", "a@example.invalid")
    run_git(root, "config", "user.name", "A")
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert find_repository(root).root == root


def test_a_branch_without_commit_points_to_one_that_has(repo: Path) -> None:
    git(repo, "checkout", "-q", "--orphan", "empty")
    with pytest.raises(UsageError) as caught:
        find_repository(repo)
    assert "switch main" in caught.value.hint


def test_init_commits_what_is_there_without_any_identity(tmp_path: Path) -> None:
    project = tmp_path / "plain"
    project.mkdir()
    (project / "a.txt").write_text("a")
    found = init_repository(project)
    assert git(project, "show", "HEAD:a.txt") == "a"
    assert init_repository(project) == found


def test_a_configured_identity_signs_our_commits(repo: Path, found: Repository) -> None:
    git(repo, "config", "user.name", "Person")
    git(repo, "config", "user.email", "p@example.invalid")
    (repo / "new").write_text("x")
    commit = commit_dirty(found, base_commit=read_commit(found, "HEAD"), message="m")
    assert git(repo, "log", "-1", "--format=%an <%ae>", commit) == "Person <p@example.invalid>"


def test_base_is_what_is_checked_out(repo: Path, found: Repository, start: str) -> None:
    assert resolve_base(found, "") == ("main", start)
    git(repo, "tag", "v1")
    assert resolve_base(found, "v1") == ("", start)
    git(repo, "checkout", "-q", "--detach")
    assert resolve_base(found, "") == ("", start)
    assert resolve_base(found, "main") == ("main", start)


@pytest.mark.parametrize("name", ["nope", "--all", "HEAD:README.md"])
def test_an_unknown_base_is_a_usage_error(found: Repository, name: str) -> None:
    with pytest.raises(UsageError, match="no branch or commit"):
        resolve_base(found, name)


def test_dirty_changes_become_a_commit_without_touching_index_or_tree(repo: Path, found: Repository) -> None:
    base = read_commit(found, "HEAD")
    (repo / "README.md").write_text("changed\n")
    (repo / "src/app.py").unlink()
    (repo / "src").rmdir()
    (repo / "src").symlink_to("elsewhere")
    (repo / "odd\nname").write_text("odd")
    (repo / "staged").write_text("one")
    git(repo, "add", "staged")
    (repo / "staged").write_text("two")
    before = git(repo, "status", "--porcelain"), (repo / ".git/index").read_bytes()
    commit = commit_dirty(found, base_commit=base, message="dirty")
    assert (git(repo, "status", "--porcelain"), (repo / ".git/index").read_bytes()) == before
    assert git(repo, "show", f"{commit}:README.md") == "changed"
    assert git(repo, "show", f"{commit}:staged") == "two"
    assert git(repo, "show", f"{commit}:src") == "elsewhere"
    assert git(repo, "show", f"{commit}:odd\nname") == "odd"
    assert git(repo, "rev-parse", f"{commit}^") == base
    assert set(dirty_files(found)) == {"README.md", "odd\nname", "src", "src/app.py", "staged"}


def test_a_clean_tree_gives_its_own_commit(found: Repository, start: str) -> None:
    assert commit_dirty(found, base_commit=start, message="dirty") == start


def test_dirty_changes_of_another_base_are_refused(repo: Path, found: Repository, start: str) -> None:
    git(repo, "commit", "-q", "--allow-empty", "-m", "more")
    with pytest.raises(UsageError, match="not the base"):
        commit_dirty(found, base_commit=start, message="dirty")


def test_an_existing_branch_is_not_moved(repo: Path, found: Repository, start: str) -> None:
    create_branch(found, "agentorchestr/s1/integration", start)
    git(repo, "commit", "-q", "--allow-empty", "-m", "more")
    with pytest.raises(GitError, match="cannot be created"):
        create_branch(found, "agentorchestr/s1/integration", read_commit(found, "HEAD"))
    assert branch_tip(found, "agentorchestr/s1/integration") == start
    assert branch_tip(found, "nope") is None


def test_a_git_that_hangs_is_ended_at_the_time_limit(repo: Path) -> None:
    with pytest.raises(GitError, match="did not end within"):
        run_git(repo, "hang", config={"alias.hang": "!sleep 60"}, timeout_s=0.3)


def test_variables_of_another_repository_do_not_lead_astray(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repo(tmp_path / "other", {"o": "1"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    assert find_repository(repo).git_dir == repo / ".git"


def test_git_never_runs_in_another_directory_when_its_own_is_gone(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="cannot change to"):
        run_git(tmp_path / "gone", "status")
