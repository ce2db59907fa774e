"""What the tests of the git driver share: a home without configuration, and a found repository."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentorchestr.worktree import gateway
from agentorchestr.worktree.repository import Repository, find_repository, read_commit
from agentorchestr.worktree.worktrees import add_worktree


@pytest.fixture(autouse=True)
def no_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the person's git configuration nor an identity is there, unless a test sets it."""
    home = tmp_path / "home"
    home.mkdir()
    for name in list(os.environ):
        if name.startswith(("GIT_", "XDG_", "EMAIL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def found(repo: Path) -> Repository:
    return find_repository(repo)


@pytest.fixture
def start(found: Repository) -> str:
    return read_commit(found, "HEAD")


@pytest.fixture
def add(found: Repository, tmp_path: Path, start: str) -> Callable[[str], Path]:
    """Adds the worktree of a worker of session s1 and returns its path."""

    def add_one(worker_id: str) -> Path:
        path = tmp_path / "trees" / worker_id
        add_worktree(found, path, branch=f"agentorchestr/s1/{worker_id}", commit=start)
        return path

    return add_one


@pytest.fixture
def tree(add: Callable[[str], Path]) -> Path:
    return add("w1")


Remove = Callable[..., str | None]


@pytest.fixture
def remove(found: Repository) -> Remove:
    def remove_one(tree: Path, **options: int) -> str | None:
        return gateway.remove_worktree(found, tree, session_id="s1", worker_id=tree.name, **options)

    return remove_one


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Root can read everything: stand as somebody else, who owns the files of the test."""
    if os.geteuid() != 0:
        yield
        return
    for base, folders, files in os.walk(tmp_path):
        for name in (".", *folders, *files):
            os.chown(Path(base, name), 65534, 65534, follow_symlinks=False)
    opened = [
        (folder, folder.stat().st_mode)
        for folder in [
            folder for folder in tmp_path.parents if folder.stat().st_uid == 0 and len(folder.parts) > 2
        ]
    ]
    for folder, mode in opened:
        folder.chmod(mode | 0o011)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    for folder, mode in opened:
        folder.chmod(mode)
