from pathlib import Path
from typing import Any

import pytest

from agentorchestr.agents.probe import LoginState
from agentorchestr.config.trust import TrustStore
from agentorchestr.model.states import Outcome

RUN = ("--trust", "--goal")


def test_a_goal_arrives_byte_for_byte(stage: Any) -> None:
    goal = "-- $(rm -rf /) `x` 'q' \"d\" \\ ; | & > * ? ~ #{pane} é 漢 \t\n\n[/bold]  "
    assert stage.run(*RUN, goal).exit_code == 0
    assert stage.request.goal == goal


def test_a_goal_may_read_like_an_option(stage: Any) -> None:
    assert stage.run(*RUN, "--agents").exit_code == 0
    assert stage.request.goal == "--agents"


def test_a_goal_file_is_taken_whole(stage: Any) -> None:
    (stage.project / "goal.md").write_text("one\r\ntwo\n", newline="")
    assert stage.run("--trust", "--goal-file", "goal.md").exit_code == 0
    assert stage.request.goal == "one\r\ntwo\n"


def test_a_pasted_goal_ends_at_its_end_word(stage: Any) -> None:
    assert stage.run("--trust", "--interactive", typed="one\n\ntwo\n/end\nmore\n").exit_code == 0
    assert stage.request.goal == "one\n\ntwo"


@pytest.mark.parametrize(
    ("words", "lead", "workers"),
    [
        ([], "claude", ("claude", "codex")),
        (["--lead", "codex"], "codex", ("claude", "codex")),
        (["--agents", "codex"], "codex", ("codex",)),
        (["--agents", "codex", "claude"], "codex", ("codex", "claude")),
        (["--agents", "codex,claude", "--lead", "claude"], "claude", ("codex", "claude")),
        (["--agents", "codex", "--agents=claude"], "codex", ("codex", "claude")),
        (["--agents", "practice", "--max-workers", "2"], "practice", ("practice",)),
    ],
)
def test_agents_are_chosen_as_named_else_by_what_is_ready(
    stage: Any, make_installed: Any, words: list[str], lead: str, workers: tuple[str, ...]
) -> None:
    stage.product.agents = [
        *(make_installed(name) for name in ("codex", "practice", "claude")),
        make_installed("gemini", LoginState.NOT_LOGGED_IN),
    ]
    assert stage.run("--trust", "--goal", "x", *words).exit_code == 0
    assert (stage.request.lead_agent, stage.request.worker_agents) == (lead, workers)


def test_an_unknown_login_is_used_after_a_sure_one(stage: Any, make_installed: Any) -> None:
    stage.product.agents = [make_installed("claude", LoginState.UNKNOWN), make_installed("codex")]
    assert stage.run(*RUN, "x").exit_code == 0
    assert stage.request.lead_agent == "codex"


def test_every_option_reaches_the_request(stage: Any) -> None:
    words = [
        "--base",
        "dev",
        "--include-dirty",
        "--git-init",
        "--max-workers",
        "7",
        "--timeout",
        "1h30m",
        "--land",
    ]
    assert stage.run(*words, "--checks", "make a", "--checks", "make b", *RUN, "x").exit_code == 0
    request = stage.request
    assert request.project == stage.project
    assert (request.base, request.include_dirty, request.git_init, request.land) == ("dev", True, True, True)
    assert (request.max_workers, request.timeout_s) == (7, 5400.0)
    assert [check.shown for check in request.checks] == ["make a", "make b"]
    assert request.environment == stage.env


def test_a_manual_session_has_one_agent_and_no_lead(stage: Any) -> None:
    result = stage.run("--trust", "--manual", "--task", "fix", "--agent", "codex", "--role", "tester")
    assert result.exit_code == 0
    request = stage.request
    assert (request.manual, request.lead_agent, request.worker_agents) == (True, "", ("codex",))
    assert (request.role, request.max_workers, request.goal) == ("tester", 1, "fix")


def test_a_manual_session_works_without_tmux(stage: Any, short_dir: Path) -> None:
    import shutil

    (short_dir / "only-git").mkdir()
    (short_dir / "only-git/git").symlink_to(shutil.which("git") or "git")
    stage.env["PATH"] = str(short_dir / "only-git")
    result = stage.run("--trust", "--manual", "--task", "fix")
    assert result.exit_code == 0
    assert "plain child process" in result.stdout


def test_a_persons_defaults_fill_what_was_not_typed(stage: Any) -> None:
    config = Path(stage.env["XDG_CONFIG_HOME"]) / "agentorchestr"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(
        'lead = "codex"\nagents = ["claude", "codex"]\nmax_workers = 2\ntimeout = "5m"\n'
    )
    assert stage.run(*RUN, "x").exit_code == 0
    assert (stage.request.lead_agent, stage.request.max_workers, stage.request.timeout_s) == (
        "codex",
        2,
        300.0,
    )
    stage.product.requests.clear()
    assert stage.run("--agents", "claude", *RUN, "x").exit_code == 0
    assert stage.request.lead_agent == "claude"


def test_detected_checks_are_used_without_an_option(stage: Any) -> None:
    (stage.project / "Makefile").write_text("test:\n\ttrue\n")
    assert stage.run(*RUN, "x").exit_code == 0
    assert [check.source for check in stage.request.checks] == ["detected: make"]


def test_untrusted_commands_are_shown_and_do_not_run(stage: Any) -> None:
    (stage.project / ".agentorchestr").mkdir()
    (stage.project / ".agentorchestr/config.toml").write_text(
        'checks = ["make\\ttest \\u001b[2K"]\n[worktree]\nsetup = ["npm ci"]\n'
    )
    result = stage.run("--goal", "x")
    assert result.exit_code == 1
    assert "- npm ci   (.agentorchestr/config.toml: set-up of each worktree)" in result.stderr
    assert "- make test   (.agentorchestr/config.toml)" in result.stderr
    assert "\x1b" not in result.stderr
    assert stage.product.requests == []


def test_a_repository_is_trusted_once_for_what_was_shown(stage: Any) -> None:
    makefile = stage.project / "Makefile"
    makefile.write_text("test:\n\ttrue\n")
    assert stage.run("--trust", "--goal", "x").exit_code == 0
    assert stage.run("--goal", "x").exit_code == 0
    (stage.project / "go.mod").write_text("")
    assert stage.run("--goal", "x").exit_code == 1
    assert stage.run("--goal", "x", "--checks", "true").exit_code == 0


def test_trust_is_of_the_whole_repository(stage: Any) -> None:
    assert stage.run("--project", "src", "--trust", "--goal", "x").exit_code == 0
    state = Path(stage.env["XDG_STATE_HOME"]) / "agentorchestr"
    assert TrustStore(state / "trust.json").is_trusted(stage.project, [])


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.DONE, 0),
        (Outcome.FAILED, 2),
        (Outcome.UNVERIFIED, 3),
        (Outcome.CANCELLED, 4),
        (Outcome.PAUSED, 4),
    ],
)
def test_the_exit_code_tells_how_the_session_ended(stage: Any, outcome: Outcome, code: int) -> None:
    stage.product.outcome = outcome
    result = stage.run(*RUN, "x")
    assert result.exit_code == code
    assert f"session abc123 {outcome.value}" in result.stdout
