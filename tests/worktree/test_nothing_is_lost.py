"""Random histories of a worktree, and at the end of each the promise: every byte is in some ref."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.worktree import gateway
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.repository import Repository
from tests.conftest import git
from tests.worktree.saved import assert_saved, contents, held

NAMES = (
    "a",
    "b.txt",
    "dir/c",
    "dir/d e",
    "dir/deep/f\nn",
    "é\"'",
    "x.log",
    "build/out",
    "-dash",
    ":(glob)*",
    "sub/g",
)
Act = Callable[[random.Random, Path], None]


def free(path: Path, tree: Path) -> bool:
    """Whether *path* can be written: no file or link of ours stands where a folder is needed."""
    above = [folder for folder in path.parents if folder.is_relative_to(tree)]
    return all(not folder.is_symlink() and (folder.is_dir() or not folder.exists()) for folder in above)


def write(rng: random.Random, tree: Path) -> None:
    path = tree / rng.choice(NAMES)
    if free(path, tree) and (path.is_symlink() or not path.is_dir()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if rng.random() < 0.15:
            path.symlink_to(rng.choice(["/nowhere", "a", ".."]))
        else:
            path.write_bytes(rng.randbytes(rng.randrange(40)) + rng.choice([b"", b"\r\n", b"\0"]))
            path.chmod(rng.choice([0o644, 0o755]))


def existing(rng: random.Random, tree: Path) -> Path | None:
    files = [tree / name for name in NAMES if free(tree / name, tree) and (tree / name).is_file()]
    return rng.choice(files) if files else None


def delete(rng: random.Random, tree: Path) -> None:
    if path := existing(rng, tree):
        path.unlink()


def rename(rng: random.Random, tree: Path) -> None:
    source, target = existing(rng, tree), tree / rng.choice(NAMES)
    if source and free(target, tree) and not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


def folder_to_link(rng: random.Random, tree: Path) -> None:
    folder = tree / "dir"
    if folder.is_dir() and not folder.is_symlink() and rng.random() < 0.3:
        folder.rename(tree / f"moved{rng.randrange(100)}")
        folder.symlink_to("/nowhere")


def nested(rng: random.Random, tree: Path) -> None:
    place = tree / rng.choice(["sub", "dep", "build/dep"])
    if free(place / "f", tree) and not (place / ".git").exists() and rng.random() < 0.5:
        place.mkdir(parents=True, exist_ok=True)
        git(place, "init", "-q")
        (place / "inner").write_bytes(rng.randbytes(8))
        if rng.random() < 0.7:
            git(place, "add", "inner")
            git(place, "commit", "-qm", "inner")


def stage(rng: random.Random, tree: Path) -> None:
    if path := existing(rng, tree):
        name = str(path.relative_to(tree))
        listed = git(tree, "--literal-pathspecs", "ls-files", "-z", "--others", "--cached", "--", name)
        if listed.strip("\0") == name:
            git(tree, "--literal-pathspecs", "add", "-f", "--", name)


def hide(rng: random.Random, tree: Path) -> None:
    tracked = [name for name in git(tree, "ls-files", "-z").split("\0") if name]
    if tracked:
        git(
            tree,
            "update-index",
            rng.choice(["--assume-unchanged", "--skip-worktree"]),
            "--",
            rng.choice(tracked),
        )


def commit(rng: random.Random, tree: Path) -> None:
    commit_all(tree, message="work")


def detach(rng: random.Random, tree: Path) -> None:
    git(tree, "checkout", "-q", "--detach")


def forget(rng: random.Random, tree: Path) -> None:
    if git(tree, "rev-list", "--count", "HEAD") != "1":
        git(tree, "reset", "-q", "--soft", "HEAD~1")


ACTS: tuple[Act, ...] = (
    *(write,) * 8, delete, delete, rename, rename, folder_to_link, nested, stage, stage, hide, commit, commit,
    detach, forget,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(25))
def test_after_a_removal_every_byte_is_in_a_commit_or_snapshot(
    found: Repository, add: Callable[[str], Path], seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a history that can be repeated
    (found.root / ".gitignore").write_text("*.log\nbuild/\n")
    git(found.root, "add", "-A")
    git(found.root, "commit", "-qm", "ignore")
    tree = add("w1")
    for _ in range(rng.randrange(5, 40)):
        rng.choice(ACTS)(rng, tree)
    before = contents(tree)
    staged = {line.split()[1] for line in git(tree, "ls-files", "-s", "-z").split("\0") if line[:3] == "100"}
    commits = set(git(tree, "rev-list", "--walk-reflogs", "HEAD").split())
    gateway.remove_worktree(found, tree, session_id="s1", worker_id="w1")
    assert not tree.exists()
    assert_saved(found, before)
    assert staged | commits <= held(found)
    assert git(found.root, "status", "--porcelain") == ""
