"""``agentorchestr snapshots`` on a real repository."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agentorchestr.cli.main import cli
from agentorchestr.cli.product import Shell
from agentorchestr.worktree import gateway
from agentorchestr.worktree.repository import find_repository, read_commit
from agentorchestr.worktree.worktrees import add_worktree
from tests.conftest import git


@pytest.fixture
def saved(repo: Path, tmp_path: Path) -> Path:
    """The repository, with the snapshot s1/w1/1 in it."""
    found = find_repository(repo)
    tree = tmp_path / "trees/w1"
    add_worktree(found, tree, branch="agentorchestr/s1/w1", commit=read_commit(found, "HEAD"))
    (tree / "new.txt").write_bytes(b"\tone\x1b[31m\r\ntwo")
    gateway.remove_worktree(found, tree, session_id="s1", worker_id="w1")
    return repo


def run(env: dict[str, str], cwd: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["snapshots", *words], obj=Shell(env=env, cwd=cwd))


def test_snapshots_are_listed_shown_and_restored(saved: Path, private_home: dict[str, str]) -> None:
    (row,) = json.loads(run(private_home, saved, "list", "--json").stdout)["data"]
    assert (row["name"], row["worker"], row["files"], row["bytes"]) == ("s1/w1/1", "w1", 1, 14)
    assert "s1/w1/1\tw1" in run(private_home, saved, "list", "s1").stdout
    assert run(private_home, saved, "list", "other").stdout == "no snapshots: nothing had to be saved\n"
    shown = run(private_home, saved, "show", "s1/w1/1")
    assert "new.txt" in shown.stdout
    assert "1 file (14 B), 0 deleted" in shown.stdout
    diff = run(private_home, saved, "show", "w1/1", "--diff").stdout
    assert "+       one" in diff
    assert "\x1b" not in diff
    assert (
        run(private_home, saved, "show", "w1/1", "--file", "new.txt").stdout_bytes == b"\tone\x1b[31m\r\ntwo"
    )
    back = run(private_home, saved, "restore", "w1/1", "--to", "../back")
    assert back.exit_code == 0, back.output
    assert (saved.parent / "back/new.txt").read_bytes() == b"\tone\x1b[31m\r\ntwo"
    assert run(private_home, saved, "restore", "w1/1", "--branch", "mine").exit_code == 0
    assert git(saved, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restore", "w1/1"), "say where to"),
        (("restore", "w1/1", "--to", "a", "--branch", "b"), "say where to"),
        (("restore", "w1/1", "--branch", "main"), "the branch main exists"),
        (("restore", "w1/1", "--to", "."), "is there already"),
        (("show", "w9/1"), "no snapshot is named 'w9/1'"),
        (("show", "w1/1", "--file", "nope"), "holds no file 'nope'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_a_hint(
    saved: Path, private_home: dict[str, str], words: tuple[str, ...], said: str
) -> None:
    done = run(private_home, saved, *words)
    assert done.exit_code == 1
    assert said in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].startswith("  hint: ")


def test_outside_a_repository_a_hint_says_how_to_name_one(
    saved: Path, private_home: dict[str, str], short_dir: Path
) -> None:
    done = run(private_home, short_dir, "list")
    assert done.exit_code == 1
    assert "--project DIR" in done.stderr
