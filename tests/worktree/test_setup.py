import os
import sys
from pathlib import Path

import pytest

from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.worktree.repository import Repository
from agentorchestr.worktree.setup import allocate_ports, apply_setup, propose_setup
from tests.conftest import git


def test_files_are_copied_and_folders_linked(found: Repository, tree: Path) -> None:
    (found.root / ".env").write_text("KEY=1")
    (found.root / "conf/deep").mkdir(parents=True)
    (found.root / "conf/deep/x").write_text("x")
    (found.root / "node_modules").mkdir()
    setup = WorktreeSetup(copy=(".env", "conf/deep", "missing"), link=("node_modules",))
    done = apply_setup(found, tree, setup, {})
    assert (tree / ".env").read_text() == "KEY=1"
    assert (tree / "conf/deep/x").read_text() == "x"
    assert (tree / "node_modules").readlink() == found.root / "node_modules"
    assert done.skipped == ("missing",)


def test_what_is_there_is_not_overwritten(found: Repository, tree: Path) -> None:
    (found.root / "README.md").write_text("changed")
    done = apply_setup(found, tree, WorktreeSetup(copy=("README.md",)), {})
    assert (tree / "README.md").read_text() == "a sample\n"
    assert done.skipped == ("README.md",)


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/passwd",
        "out/secret",
        "out",
        "src/../../secret",
        "src/../README.md",
        "",
        ".git/config",
    ],
)
@pytest.mark.parametrize("how", ["copy", "link"])
def test_no_path_leads_out_of_the_repository(
    found: Repository, tree: Path, tmp_path: Path, name: str, how: str
) -> None:
    (tmp_path / "secret").write_text("s")
    (found.root / "out").symlink_to(tmp_path)
    setup = WorktreeSetup(copy=(name,)) if how == "copy" else WorktreeSetup(link=(name,))
    with pytest.raises(UsageError, match="leads out"):
        apply_setup(found, tree, setup, {})


def test_no_destination_leads_out_of_the_worktree(found: Repository, tree: Path, tmp_path: Path) -> None:
    (found.root / "cache").mkdir()
    (found.root / "cache/file").write_text("x")
    (tmp_path / "outside").mkdir()
    (tree / "cache").symlink_to(tmp_path / "outside")
    with pytest.raises(UsageError, match="leads out"):
        apply_setup(found, tree, WorktreeSetup(copy=("cache/file",)), {})
    assert list((tmp_path / "outside").iterdir()) == []


def test_commands_run_in_the_worktree_with_its_ports(found: Repository, tree: Path) -> None:
    write = "import os; open('port', 'w').write(os.environ['PORT'] + os.environ['MINE'])"
    setup = WorktreeSetup(commands=((sys.executable, "-c", write),), ports=("PORT",))
    done = apply_setup(found, tree, setup, {**os.environ, "MINE": "x"})
    assert (tree / "port").read_text() == done.env["PORT"] + "x"


def test_a_failing_command_is_told_with_its_output(found: Repository, tree: Path) -> None:
    setup = WorktreeSetup(commands=(("sh", "-c", "echo because >&2; exit 3"),))
    with pytest.raises(OrchestrError, match=r"ended with 3: because"):
        apply_setup(found, tree, setup, dict(os.environ))


def test_no_two_ports_are_alike() -> None:
    ports = allocate_ports(tuple(f"P{n}" for n in range(50)))
    assert len(set(ports.values())) == 50


def test_ignored_dependencies_and_settings_are_proposed(found: Repository) -> None:
    assert propose_setup(found).empty
    for name in ("node_modules", ".venv"):
        (found.root / name).mkdir()
    for name in (".env", ".env.local"):
        (found.root / name).write_text("x")
    (found.root / ".gitignore").write_text("node_modules/\n.env\n")
    git(found.root, "add", "-f", ".env.local")
    assert propose_setup(found) == WorktreeSetup(copy=(".env",), link=("node_modules",))
