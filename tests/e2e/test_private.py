"""What a living session keeps from everybody else on the machine."""

import os
from pathlib import Path

import psutil

from tests.conftest import git
from tests.e2e.conftest import Product
from tests.e2e.test_nothing_left import started_and_hanging
from tests.e2e.test_sessions import Scenario


def ours(root: Path, *, worktrees: tuple[Path, ...]) -> list[Path]:
    """Everything below *root* but what is in a worktree, whose modes are git's."""
    found = [root]
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if Path(folder, name) not in worktrees]
        found += [Path(folder, name) for name in (*names, *files)]
    return found


def test_folders_files_and_tokens_of_a_session_are_private(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    view, end = started_and_hanging(product, repo, scenario)
    worktrees = tuple(Path(worker.worktree) for worker in view.workers.values())
    places = [*ours(product.paths.state, worktrees=worktrees), *ours(product.paths.run, worktrees=())]
    # A socket has no mode that could be set in time, a link none at all; their folders are private.
    plain = [path for path in places if path.name != "bell" and not path.is_symlink()]
    open_ones = [path for path in plain if path.lstat().st_mode & 0o077]
    assert open_ones == []
    tokens = [path.read_text() for path in product.paths.run.rglob("token")]
    assert len(tokens) == 2
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if any(token in line for token in tokens)]
    assert product.run("stop", cwd=repo).returncode == 0
    end()
    assert not [token for token in tokens if token in git(repo, "log", "--all", "-p")]
    kept = [path.read_bytes() for path in ours(product.paths.state, worktrees=()) if path.is_file()]
    assert not [token for token in tokens if any(token.encode() in content for content in kept)]
