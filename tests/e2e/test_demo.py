"""The demo, as a person would run it: the whole main job on the practice agent."""

import subprocess
from pathlib import Path

from tests.conftest import git
from tests.e2e.conftest import Product


def test_the_demo_ends_verified_and_leaves_nothing_behind(product: Product, tmp_path: Path) -> None:
    done = product.run("demo", "--no-attach", cwd=tmp_path, timeout_s=60)
    assert done.returncode == 0, done.stdout + done.stderr
    (session_id,) = product.sessions()
    (sample,) = (product.paths.state / "demo").iterdir()

    merged = tmp_path / "merged"
    git(sample, "worktree", "add", "-q", "--detach", str(merged), f"agentorchestr/{session_id}/integration")
    checks = subprocess.run(["python3", "-m", "unittest", "-q"], cwd=merged, capture_output=True, check=False)
    assert checks.returncode == 0
    git(sample, "worktree", "remove", str(merged))

    assert git(sample, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert git(sample, "log", "--oneline", "main").count("\n") == 0
    assert git(sample, "status", "--porcelain") != "", "the person's dirty file is still dirty"
    assert git(sample, "worktree", "list").count("\n") == 0
    branches = git(sample, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    assert branches == [f"agentorchestr/{session_id}/integration", "main"]

    product.assert_nothing_left()
    assert not any((product.paths.state / "worktrees").rglob("*.py"))
    listed = subprocess.run(
        ["tmux", "-S", str(product.paths.tmux_socket), "list-sessions", "-F", "#S"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.split() == [f"ao-{session_id}"]

    assert product.run("stop", session_id, cwd=tmp_path).returncode == 0
    gone = subprocess.run(
        ["tmux", "-S", str(product.paths.tmux_socket), "list-sessions"], capture_output=True, check=False
    )
    assert gone.returncode != 0


def test_the_result_lands_only_on_the_person_s_word(product: Product, tmp_path: Path) -> None:
    assert product.run("demo", "--no-attach", cwd=tmp_path, timeout_s=60).returncode == 0
    (session_id,) = product.sessions()
    (sample,) = (product.paths.state / "demo").iterdir()
    dirty = git(sample, "diff")
    landed = product.run("land", session_id, cwd=tmp_path)
    assert landed.returncode == 0, landed.stdout + landed.stderr
    assert git(sample, "rev-parse", "main") == git(
        sample, "rev-parse", f"agentorchestr/{session_id}/integration"
    )
    assert git(sample, "diff") == dirty
    assert (sample / "tests/test_german.py").is_file()
    again = product.json("status", session_id, cwd=tmp_path)
    assert again["state"] == "done"
