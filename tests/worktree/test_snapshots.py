from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.worktree import gateway
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.repository import Repository, branch_tip, find_repository
from agentorchestr.worktree.setup import apply_setup
from agentorchestr.worktree.snapshots import list_snapshots
from agentorchestr.worktree.worktrees import add_worktree, list_worktrees
from tests.conftest import git, make_repo
from tests.worktree.saved import assert_saved, contents, held

Remove = Callable[..., str | None]


def snap(found: Repository, tree: Path) -> str | None:
    return gateway.snapshot(found, tree, session_id="s1", worker_id="w1")


def test_everything_unsaved_is_in_the_snapshot(found: Repository, tree: Path, remove: Remove) -> None:
    (tree / ".gitignore").write_text("*.log\nbuild/\n")
    commit_all(tree, message="ignore")
    (tree / "README.md").write_text("changed\n")
    (tree / "src/app.py").unlink()
    (tree / "new é\n\"'\\").write_text("new")
    (tree / "run.log").write_text("log")
    (tree / "build/deep").mkdir(parents=True)
    (tree / "build/deep/out").write_bytes(bytes(range(256)))
    (tree / "link").symlink_to("/nowhere")
    (tree / "tool").write_text("#!")
    (tree / "tool").chmod(0o755)
    before = contents(tree)
    ref = remove(tree)
    assert ref == "refs/agentorchestr/snapshots/s1/w1/1"
    assert_saved(found, before)
    assert git(found.root, "show", f"{ref}:new é\n\"'\\") == "new"
    assert git(found.root, "show", f"{ref}:link") == "/nowhere"
    assert git(found.root, "ls-tree", ref, "tool").startswith("100755")
    assert git(found.root, "ls-tree", ref, "src/app.py") == ""
    assert git(found.root, "rev-parse", f"{ref}^") == branch_tip(found, "agentorchestr/s1/w1")


def test_a_snapshot_touches_neither_tree_nor_index(found: Repository, tree: Path) -> None:
    index = Path(git(tree, "rev-parse", "--git-path", "index"))
    (tree / "README.md").write_text("staged\n")
    git(tree, "add", "-A")
    (tree / "README.md").write_text("later\n")
    (tree / "new").write_text("x")
    before = index.read_bytes(), index.stat().st_mtime_ns, contents(tree)
    first, second = snap(found, tree), snap(found, tree)
    assert (index.read_bytes(), index.stat().st_mtime_ns, contents(tree)) == before
    assert (first, second) == tuple(f"refs/agentorchestr/snapshots/s1/w1/{n}" for n in (1, 2))
    assert [row.ref for row in list_snapshots(found, "s1")] == [first, second]


def test_staged_content_that_was_edited_again_is_saved(found: Repository, tree: Path, remove: Remove) -> None:
    for name in ("README.md", "fresh"):
        (tree / name).write_text(f"staged {name}\n")
    git(tree, "add", "-A")
    (tree / "README.md").write_text("edited\n")
    (tree / "fresh").unlink()
    ref = remove(tree)
    assert git(found.root, "show", f"{ref}:README.md") == "edited"
    assert git(found.root, "show", f"{ref}^2:README.md") == "staged README.md"
    assert git(found.root, "show", f"{ref}^2:fresh") == "staged fresh"


def test_an_unresolved_merge_is_saved_with_all_its_sides(
    found: Repository, tree: Path, remove: Remove
) -> None:
    git(tree, "checkout", "-q", "-b", "other")
    (tree / "README.md").write_text("theirs\n")
    git(tree, "commit", "-qam", "theirs")
    git(tree, "checkout", "-q", "agentorchestr/s1/w1")
    (tree / "README.md").write_text("ours\n")
    git(tree, "commit", "-qam", "ours")
    with pytest.raises(Exception, match="merge"):
        git(tree, "merge", "-q", "other")
    before = contents(tree)
    ref = remove(tree)
    assert_saved(found, before)
    assert git(found.root, "show", f"{ref}^2:README.md.stage3") == "theirs"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_an_edit_hidden_from_git_is_saved(found: Repository, tree: Path, remove: Remove, flag: str) -> None:
    git(tree, "update-index", flag, "README.md", "src/app.py")
    (tree / "README.md").write_text("hidden\n")
    ref = remove(tree)
    assert git(found.root, "show", f"{ref}:README.md") == "hidden"
    assert git(found.root, "diff", "--name-only", f"{ref}^", str(ref)) == "README.md"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
@pytest.mark.parametrize("after", ["edited again", None])
def test_what_was_staged_of_a_hidden_file_is_saved_too(
    found: Repository, tree: Path, remove: Remove, flag: str, after: str | None
) -> None:
    (tree / "README.md").write_text("staged\n")
    git(tree, "add", "README.md")
    git(tree, "update-index", flag, "README.md")
    (tree / "README.md").unlink()
    if after is not None:
        (tree / "README.md").write_text(after)
    ref = remove(tree)
    assert git(found.root, "show", f"{ref}^2:README.md") == "staged"


def test_no_filter_alters_what_is_saved(found: Repository, tree: Path, remove: Remove) -> None:
    (tree / ".gitattributes").write_text("* text=auto eol=lf\n*.id ident\n")
    (tree / "dos.txt").write_bytes(b"a\r\nb\r\n")
    (tree / "x.id").write_bytes(b"$Id: mine $")
    before = contents(tree)
    remove(tree)
    assert_saved(found, before)


@pytest.mark.parametrize("where", ["dep", "src", "vendor/ignored"])
def test_a_nested_repository_is_saved_with_its_history(
    found: Repository, tree: Path, remove: Remove, where: str
) -> None:
    (tree / ".gitignore").write_text("ignored/\n")
    nested = tree / where
    nested.mkdir(parents=True, exist_ok=True)
    git(nested, "init", "-q")
    (nested / "f").write_text("committed inside")
    git(nested, "add", "-A")
    git(nested, "commit", "-qm", "inside")
    (nested / "f").write_text("edited inside")
    before = contents(tree)
    ref = remove(tree)
    assert_saved(found, before)
    assert not tree.exists()
    out = tree.parent / "restored"
    add_worktree(found, out, branch="restored", commit=str(ref))
    (out / where / ".git.saved").rename(out / where / ".git")
    for folder in ("refs/tags", "objects/info"):
        (out / where / ".git" / folder).mkdir(exist_ok=True, parents=True)
    assert git(out / where, "show", "HEAD:f") == "committed inside"


def test_a_folder_named_git_that_is_no_repository_is_saved(
    found: Repository, tree: Path, remove: Remove
) -> None:
    (tree / "odd/.git").mkdir(parents=True)
    (tree / "odd/.git/notes").write_text("invisible to git")
    before = contents(tree)
    remove(tree)
    assert_saved(found, before)


def test_commits_no_branch_holds_are_saved(found: Repository, tree: Path, remove: Remove) -> None:
    (tree / "README.md").write_text("reset away\n")
    git(tree, "commit", "-qam", "one")
    lost = git(tree, "rev-parse", "HEAD")
    git(tree, "reset", "-q", "--hard", "HEAD~1")
    git(tree, "checkout", "-q", "--detach")
    (tree / "README.md").write_text("detached\n")
    git(tree, "commit", "-qam", "two")
    detached = git(tree, "rev-parse", "HEAD")
    ref = remove(tree)
    assert ref is not None
    assert {lost, detached} <= held(found)


def test_commits_of_a_worktree_whose_folder_was_deleted_are_saved(
    found: Repository, tree: Path, remove: Remove
) -> None:
    git(tree, "checkout", "-q", "--detach")
    git(tree, "commit", "-q", "--allow-empty", "-m", "detached")
    detached = git(tree, "rev-parse", "HEAD")
    tree.rename(tree.with_name("elsewhere"))
    assert remove(tree) is not None
    assert detached in held(found)
    assert len(list_worktrees(found)) == 1
    assert remove(tree) is None


def test_a_record_whose_folder_and_branch_are_gone_is_dropped_and_its_commits_are_saved(
    found: Repository, tree: Path, start: str
) -> None:
    git(tree, "commit", "-q", "--allow-empty", "-m", "on no branch any more")
    lost = git(tree, "rev-parse", "HEAD")
    tree.rename(tree.with_name("away"))
    git(found.root, "update-ref", "-d", "refs/heads/agentorchestr/s1/w1")
    assert gateway.prune(found, ours="agentorchestr/s1/") == (tree,)
    assert len(list_worktrees(found)) == 1
    (row,) = list_snapshots(found)
    assert git(found.root, "merge-base", "--is-ancestor", lost, row.commit) == ""


def test_a_copy_of_the_persons_own_secret_stays_out_of_git(
    found: Repository, tree: Path, remove: Remove
) -> None:
    (tree / ".gitignore").write_text(".env\n")
    commit_all(tree, message="ignore")
    for folder in (tree, found.root):
        (folder / ".env").write_text("KEY=secret")
    assert remove(tree) is None


def test_what_tools_fill_again_is_listed_and_not_saved(found: Repository, tree: Path, remove: Remove) -> None:
    (tree / ".gitignore").write_text("node_modules/\ntarget/\n")
    (tree / "node_modules").mkdir()
    (tree / "node_modules/x.js").write_text("x")
    (tree / "target").mkdir()
    (tree / "target/CACHEDIR.TAG").write_text("Signature")
    ref = str(remove(tree))
    message = git(found.root, "log", "-1", "--format=%B", ref)
    assert "  node_modules" in message
    assert "  target" in message
    assert git(found.root, "ls-tree", "-r", "--name-only", ref).split() == [
        ".gitignore",
        "README.md",
        "src/app.py",
    ]


def test_submodules_do_not_stop_the_removal_and_edits_in_them_are_saved(repo: Path, tmp_path: Path) -> None:
    inner = make_repo(tmp_path / "inner", {"i": "1"})
    allow = ("-c", "protocol.file.allow=always")
    git(repo, *allow, "submodule", "add", "-q", str(inner), "sub")
    git(repo, "commit", "-q", "-m", "submodule")
    found = find_repository(repo)
    refs = []
    for number in range(4):
        tree = tmp_path / f"w{number}"
        add_worktree(found, tree, branch=f"agentorchestr/s1/w{number}", commit="HEAD")
        if number:
            git(tree, *allow, "submodule", "update", "-q", "--init")
        if number == 2:
            (tree / "sub/i").write_text("edited in submodule")
        if number == 3:
            git(tree / "sub", "commit", "-q", "--allow-empty", "-m", "only here")
        before = contents(tree)
        refs.append(gateway.remove_worktree(found, tree, session_id="s1", worker_id=f"w{number}"))
        assert not tree.exists()
        if number > 1:
            assert_saved(found, before)
    assert [bool(ref) for ref in refs] == [False, False, True, True]
    saved = git(repo, "ls-tree", "-r", "--name-only", str(refs[3]))
    assert ".agentorchestr-modules/sub/logs/HEAD" in saved.splitlines()


def test_a_link_the_setup_made_is_no_work_and_its_target_stays(
    found: Repository, tree: Path, remove: Remove
) -> None:
    (found.root / "node_modules").mkdir()
    (found.root / "node_modules/x.js").write_text("x")
    apply_setup(found, tree, WorktreeSetup(link=("node_modules",)), {})
    assert remove(tree) is None
    assert (found.root / "node_modules/x.js").read_text() == "x"
