"""Every bad input: exit code 1, nothing on standard output, one clear line and a hint."""

from pathlib import Path
from typing import Any

import pytest

from agentorchestr.agents.probe import LoginState


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--goal"], "requires an argument", "--help"),
        (["--gaol", "x"], "No such option", "--help"),
        (["dmeo"], "no such command: dmeo", "agentorchestr demo"),
        (["Add", "JWT"], "no such command: Add", "--goal"),
        (["--goal", ""], "the goal is empty", "--goal"),
        (["--goal", "  \n "], "the goal is empty", "--goal"),
        (["--goal", "x" * (256 * 1024 + 1)], "262,145 bytes", "file of the repository"),
        (["--goal", "é" * (128 * 1024 + 1)], "262,146 bytes", "file of the repository"),
        (["--goal", "\udcff"], "the goal is not UTF-8 (at character 1)", "--goal-file"),
        (["--goal", "x", "--checks", "test -f \udcff"], "--checks is not UTF-8: test -f \ufffd", "script"),
        (["--goal", "x", "--base", "\udcff"], "--base is not UTF-8", "type it again"),
        (["--goal-file", "missing.md"], "does not exist: missing.md", "--goal-file"),
        (["--goal-file", "src"], "is a directory: src", "--goal-file"),
        (["--goal", "x", "--goal-file", "y"], "--goal cannot go with --goal-file", "only one"),
        (["--goal", "x", "--interactive"], "--goal cannot go with --interactive", "only one"),
        (["--manual", "--goal", "x"], "--goal cannot go with --manual", "only one"),
        (["--detect", "--doctor"], "--detect cannot go with --doctor", "only one"),
        (["--manual"], "--manual needs a task", "--manual --task"),
        (["--manual", "--task", ""], "the task is empty", "say what"),
        (["--manual", "--task", "x", "--lead", "claude"], "--lead cannot go with --manual", "--agent"),
        (["--manual", "--task", "x", "--role", "wizard"], "unknown role: wizard", "implementer"),
        (["--manual", "--task", "x", "--agents", "claude", "codex"], "one agent, not 2", "--agent claude"),
        (["--task", "x"], "--task needs --manual", "--manual"),
        (["--goal", "x", "--role", "tester"], "--role needs --manual", "--manual"),
        (["--lead", "claude"], "no goal was given", "--goal"),
        (["--goal", "x", "--agents", "cluade"], "unknown agent: cluade", "did you mean claude?"),
        (["--goal", "x", "--agents", "zzzz"], "unknown agent: zzzz", "aider"),
        (["--goal", "x", "--lead", "zzzz"], "unknown agent: zzzz", "claude"),
        (["--goal", "x", "--agents"], "requires an argument", "--help"),
        (["--goal", "x", "--agents", ","], "names no agent", "claude codex"),
        (["--goal", "x", "--lead", ""], "--lead names no agent", "--lead claude"),
        (
            ["--goal", "x", "--agents", "codex", "--lead", "claude"],
            "lead claude is not among",
            "--lead claude",
        ),
        (["--goal", "x", "--agents", "aider", "--trust"], "(aider) is not installed", "install"),
        (["--goal", "x", "--project", "nowhere"], "does not exist", "--project"),
        (["--goal", "x", "--project", "README.md"], "not a directory", "--project"),
        (["--goal", "x", "--project", "\udcff"], "path is not UTF-8", "ln -s"),
        (["--goal", "x", "--max-workers", "0"], "--max-workers 0", "1 to 32"),
        (["--goal", "x", "--max-workers", "33"], "--max-workers 33", "1 to 32"),
        (["--goal", "x", "--max-workers", "many"], "not a valid integer", "--help"),
        (["--goal", "x", "--timeout", "90"], "not a duration: 90", "2h, 30m, 90s"),
        (["--goal", "x", "--timeout", "0s"], "not a duration: 0s", "2h"),
        (["--goal", "x", "--timeout", "1m1h"], "not a duration", "2h"),
        (["--goal", "x", "--timeout", "²h"], "not a duration", "2h"),
        (["--goal", "x", "--timeout", " "], "not a duration: (blank)", "2h"),
        (["--goal", "x", "--checks", "  "], "--checks is blank", "make test"),
        (["--goal", "x", "--attach"], "--attach needs a terminal", "later"),
        (["--goal", "x"], "is not trusted yet", "--trust"),
        (["--goal", "x", "status"], "--goal cannot go with the command status", "status --help"),
        (["--trust", "sessions"], "--trust cannot go with the command sessions", "sessions --help"),
        (["status", "zz"], "no session begins with 'zz'", "--list-sessions"),
        (["attach"], "no session begins", "--list-sessions"),
        (["logs", "--after", "-1"], "-1 is not in the range", "logs --help"),
        (["demo", "--keep", "src"], "is not empty", "--keep DIR"),
        (["status", "--colour"], "No such option", "agentorchestr status --help"),
    ],
)
def test_a_bad_input_gets_one_line_and_a_hint(stage: Any, words: list[str], message: str, hint: str) -> None:
    said, hinted = stage.refused(*words)
    assert message in said
    assert hint in hinted
    assert stage.product.requests == []


def test_a_goal_file_that_is_not_utf8_names_the_byte(stage: Any) -> None:
    (stage.project / "goal.md").write_bytes(b"ok\xff")
    said, _ = stage.refused("--goal-file", "goal.md")
    assert "not UTF-8 (at byte 3)" in said


def test_a_goal_file_that_is_too_long_is_refused(stage: Any) -> None:
    (stage.project / "goal.md").write_bytes(b"x" * (256 * 1024 + 1))
    assert "more than 262,144 bytes" in stage.refused("--goal-file", "goal.md")[0]


def test_a_folder_that_is_no_repository_is_refused(stage: Any, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    said, hint = stage.refused("--goal", "x", "--project", str(tmp_path / "plain"))
    assert "not a git repository" in said
    assert "--git-init" in hint


def test_bad_project_settings_name_file_line_and_key(stage: Any) -> None:
    (stage.project / ".agentorchestr").mkdir()
    (stage.project / ".agentorchestr/config.toml").write_text("[worktree]\ncolour = 1\n")
    assert "config.toml, line 2, key worktree.colour" in stage.refused("--goal", "x", "--trust")[0]


def test_an_agent_nobody_is_logged_in_to_is_told_apart(stage: Any, make_installed: Any) -> None:
    stage.product.agents = [make_installed("claude", LoginState.NOT_LOGGED_IN)]
    said, hint = stage.refused("--goal", "x", "--trust", "--lead", "claude")
    assert "installed, but nobody is logged in" in said
    assert "/login" in hint
    said, hint = stage.refused("--goal", "x", "--trust")
    assert "nobody is logged in to claude" in said
    assert "/login" in hint


def test_an_agent_that_does_not_run_is_refused(stage: Any, make_installed: Any) -> None:
    stage.product.agents = [make_installed("codex", broken=True)]
    assert "does not run" in stage.refused("--goal", "x", "--trust", "--agents", "codex")[0]


def test_without_any_agent_the_hint_installs_one(stage: Any) -> None:
    stage.product.agents = []
    said, hint = stage.refused("--goal", "x", "--trust")
    assert said == "no agent is installed"
    assert "npm install" in hint


def test_an_agent_that_cannot_lead_is_refused_as_lead(stage: Any, make_installed: Any) -> None:
    stage.product.agents = [make_installed("aider")]
    said, hint = stage.refused("--goal", "x", "--trust", "--lead", "aider")
    assert "no agent can lead: aider" in said
    assert "claude" in hint


def test_missing_tmux_is_a_missing_dependency(stage: Any, short_dir: Path) -> None:
    import shutil

    (short_dir / "only-git").mkdir()
    (short_dir / "only-git/git").symlink_to(shutil.which("git") or "git")
    stage.env["PATH"] = str(short_dir / "only-git")
    said, hint = stage.refused("--goal", "x", "--trust")
    assert said == "tmux is not installed"
    assert "apt-get install tmux" in hint


def test_terminal_codes_and_markup_in_what_was_typed_have_no_effect(stage: Any) -> None:
    said, _ = stage.refused("--goal", "x", "--agents", "\x1b[31m[/bold]\x07evil")
    assert said == "unknown agent: [/bold] evil"
