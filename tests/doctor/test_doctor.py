import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.probe import Installed, LoginState
from agentorchestr.doctor import checks
from agentorchestr.doctor.detecting import detect_all
from agentorchestr.doctor.findings import Finding, Level, failed, fine, warning, would_start
from agentorchestr.doctor.programs import keys_set, probe_program
from agentorchestr.errors import TmuxError
from agentorchestr.paths import Paths

CATALOGUE = load_catalogue()


def agent(name: str, login: LoginState, *, broken: bool = False) -> Installed:
    return Installed(name, Path("/opt") / name, "1", login, "", broken)


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_tmux_is_tried_for_real_and_nothing_is_left(
    private_home: dict[str, str], private_paths: Paths
) -> None:
    found = checks.look_at_tmux(private_paths, private_home)
    assert found.level is Level.OK, found
    assert list(private_paths.run.iterdir()) == []


def test_a_tmux_that_opens_no_session_is_found(private_paths: Paths, tmp_path: Path) -> None:
    program(tmp_path / "bin", "tmux", '[ "$1" = -V ] && echo tmux 3.4 && exit; echo broken >&2; exit 1')
    found = checks.look_at_tmux(private_paths, {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    assert found.level is Level.FAILED
    assert "does not open a session" in found.text


def test_a_socket_path_that_is_too_long_fails(private_home: dict[str, str], tmp_path: Path) -> None:
    long = tmp_path / ("x" * 110)
    long.mkdir()
    env = {**private_home, "XDG_RUNTIME_DIR": str(long)}
    found = checks.examine(
        Paths.from_env(env),
        env,
        project=tmp_path,
        catalogue=CATALOGUE,
        probe=lambda: [agent("claude", LoginState.READY)],
    )
    (tmux, *_) = found
    assert tmux.level is Level.FAILED
    assert "XDG_RUNTIME_DIR" in tmux.fix


@pytest.mark.parametrize(
    ("name", "script", "level"),
    [
        ("tmux", "echo tmux 2.9a", Level.FAILED),
        ("git", "echo git version 2.19.1", Level.FAILED),
        ("git", "echo git version 2.30.2", Level.WARNING),
        ("git", "echo git version 2.45.0", Level.OK),
        ("git", "exit 1", Level.FAILED),
        ("mosquitto", "echo mosquitto version 2.0.18", Level.OK),
    ],
)
def test_versions_decide(private_paths: Paths, tmp_path: Path, name: str, script: str, level: Level) -> None:
    program(tmp_path / "bin", name, script)
    env = {"PATH": str(tmp_path / "bin")}
    look: dict[str, Callable[[], Finding]] = {
        "tmux": lambda: checks.look_at_tmux(private_paths, env),
        "git": lambda: checks.look_at_git(env),
        "mosquitto": lambda: checks.look_at_broker(env),
    }
    found = look[name]()
    assert found.level is level
    assert bool(found.fix) is (level is not Level.OK)


def test_programs_that_are_missing_are_told_with_their_install_line(
    private_paths: Paths, tmp_path: Path
) -> None:
    env = {"PATH": str(tmp_path)}
    assert "brew install tmux" in checks.look_at_tmux(private_paths, env).fix
    assert "apt-get install git" in checks.look_at_git(env).fix
    assert probe_program("git", env=env).problem == "not installed"


@pytest.mark.parametrize(
    ("agents", "level", "fix"),
    [
        ([], Level.FAILED, "npm install"),
        ([agent("practice", LoginState.READY)], Level.FAILED, "npm install"),
        ([agent("claude", LoginState.NOT_LOGGED_IN)], Level.FAILED, "/login"),
        ([agent("claude", LoginState.READY, broken=True)], Level.FAILED, "npm install"),
        ([agent("codex", LoginState.UNKNOWN)], Level.WARNING, "codex"),
        ([agent("claude", LoginState.NOT_LOGGED_IN), agent("codex", LoginState.READY)], Level.OK, ""),
    ],
)
def test_one_ready_agent_is_enough(agents: list[Installed], level: Level, fix: str) -> None:
    found = checks.look_at_agents(lambda: agents, CATALOGUE)
    assert found.level is level
    assert fix in found.fix


def test_a_folder_of_ours_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    assert checks.look_at_folder("state", tmp_path / "state").level is Level.OK
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "state").iterdir()) == []


def test_a_folder_that_is_a_link_fails(private_home: dict[str, str], tmp_path: Path) -> None:
    paths = Paths.from_env({**private_home, "XDG_STATE_HOME": str(tmp_path)})
    (tmp_path / "elsewhere").mkdir()
    paths.state.symlink_to(tmp_path / "elsewhere")
    found = checks.examine(paths, private_home, project=tmp_path, catalogue=CATALOGUE, probe=list)
    assert any("is a link" in finding.text and finding.level is Level.FAILED for finding in found)


def test_a_project_is_looked_at_as_a_session_would(repo: Path, tmp_path: Path) -> None:
    assert checks.look_at_project(repo).level is Level.WARNING
    (repo / "Makefile").write_text("test:\n")
    assert "make test" in checks.look_at_project(repo).text
    (tmp_path / "plain").mkdir()
    plain = checks.look_at_project(tmp_path / "plain")
    assert plain.level is Level.FAILED
    assert "--git-init" in plain.fix


def test_only_a_failed_finding_keeps_a_goal_from_starting() -> None:
    assert would_start((fine("a", ""), warning("b", "", fix="x")))
    assert not would_start((fine("a", ""), failed("b", "", fix="x")))


def test_a_check_that_raises_is_a_failed_finding(
    private_home: dict[str, str], private_paths: Paths, repo: Path
) -> None:
    def broken() -> Finding:
        raise TmuxError("no way", hint="type this")

    found = checks.examine(
        private_paths, private_home, project=repo, catalogue=CATALOGUE, probe=list, more=(broken,)
    )
    assert (found[-1].level, found[-1].text, found[-1].fix) == (Level.FAILED, "no way", "type this")


def test_keys_are_told_by_name_only() -> None:
    assert keys_set({"OPENAI_API_KEY": "sk-secret", "ANTHROPIC_API_KEY": ""}) == ("OPENAI_API_KEY",)


def test_detection_asks_everything_at_once(tmp_path: Path) -> None:
    import time

    for name in ("tmux", "git", "mosquitto"):
        program(tmp_path / "bin", name, "sleep 0.5; echo 1.2")
    (tmp_path / "bin/sleep").symlink_to(shutil.which("sleep") or "sleep")
    started = time.monotonic()
    found = detect_all({"PATH": str(tmp_path / "bin")}, probe=list)
    assert time.monotonic() - started < 1.2
    assert [one.version for one in found.programs] == ["1.2"] * 3
    assert os.fspath(tmp_path / "bin/git") == found.programs[1].path
