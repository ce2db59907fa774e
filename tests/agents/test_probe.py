import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr import __version__
from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.probe import Installed, LoginState, probe_all
from agentorchestr.agents.spec import AgentSpec, load_spec_file

Program = Callable[[str, str], Path]
SPEC = """
name = "{name}"
title = "{name}"
roles = ["worker"]
binaries = ["{name}"]
prompt_by = "argv"
[version]
pattern = '^tool (\\d+\\.\\d+)'
[login]
env = ["TOOL_KEY"]
argv = ["login"]
ready = 'welcome'
not_logged_in = 'nobody'
watch = ["~/.tool"]
hint = "run: tool login"
[launch]
argv = ["{{prompt}}"]
"""
GOOD = 'case $1 in --version) echo "tool 1.2";; login) echo "$HOME" >/dev/null; echo welcome;; esac'
LOGGED_OUT = 'case $1 in --version) echo "tool 1.2";; login) echo not welcome, nobody; exit 1;; esac'


def spec_named(folder: Path, name: str = "tool") -> AgentSpec:
    file = folder / f"{name}.toml"
    file.write_text(SPEC.format(name=name))
    return load_spec_file(file)


@pytest.fixture
def env(private_home: dict[str, str], short_dir: Path) -> dict[str, str]:
    return {**private_home, "PATH": f"{short_dir / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"}


def only(spec: AgentSpec, env: dict[str, str], cache_file: Path | None = None) -> Installed:
    (found,) = probe_all([spec], env=env, cache_file=cache_file)
    return found


def test_ready_and_not_logged_in_are_told_apart(
    tmp_path: Path, env: dict[str, str], program: Program
) -> None:
    spec = spec_named(tmp_path)
    path = program("tool", GOOD)
    assert only(spec, env) == Installed("tool", path, "1.2", LoginState.READY, "")
    program("tool", LOGGED_OUT)
    found = only(spec, env)
    assert found.login is LoginState.NOT_LOGGED_IN
    assert found.detail == "not logged in: run: tool login"
    assert not found.broken


def test_a_key_in_the_environment_is_a_login(tmp_path: Path, env: dict[str, str], program: Program) -> None:
    program("tool", LOGGED_OUT)
    assert only(spec_named(tmp_path), {**env, "TOOL_KEY": "k"}).login is LoginState.READY


def test_what_is_not_installed_is_not_listed(tmp_path: Path, env: dict[str, str], program: Program) -> None:
    assert probe_all([spec_named(tmp_path)], env=env) == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo out of memory >&2; exit 3", "does not tell a version"),
        ("head -c 300000 /dev/urandom", "does not tell a version"),
        ("kill -9 $$", "does not tell a version"),
    ],
)
def test_a_broken_agent_is_one_finding(
    tmp_path: Path, env: dict[str, str], program: Program, body: str, said: str
) -> None:
    program("tool", body)
    program("other", GOOD)
    broken, good = probe_all([spec_named(tmp_path), spec_named(tmp_path, "other")], env=env)
    assert broken.broken
    assert said in broken.detail
    assert broken.login is LoginState.UNKNOWN
    assert good.login is LoginState.READY


def test_a_program_that_cannot_be_executed_is_a_finding(
    tmp_path: Path, env: dict[str, str], program: Program
) -> None:
    program("tool", "").write_text("#!/nowhere/interpreter\n")
    found = only(spec_named(tmp_path), env)
    assert found.broken
    assert found.detail.startswith("broken: cannot run")


def test_a_program_that_hangs_costs_its_limit_once(
    tmp_path: Path, env: dict[str, str], program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentorchestr.agents.probe.PROBE_LIMIT_S", 0.5)
    specs = []
    for number in range(6):
        program(f"tool{number}", "exec sleep 60")
        specs.append(spec_named(tmp_path, f"tool{number}"))
    started = time.monotonic()
    found = probe_all(specs, env=env)
    assert time.monotonic() - started < 1.5
    assert all(one.broken and "did not answer" in one.detail for one in found)


def test_a_leftover_of_a_program_that_hangs_holds_nobody_up(
    tmp_path: Path, env: dict[str, str], program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentorchestr.agents.probe.PROBE_LIMIT_S", 0.5)
    program("tool", "setsid sleep 6 & exec sleep 60")
    started = time.monotonic()
    assert only(spec_named(tmp_path), env).broken
    assert time.monotonic() - started < 3


def test_all_probes_run_at_once(tmp_path: Path, env: dict[str, str], program: Program) -> None:
    specs = []
    for number in range(8):
        program(f"tool{number}", f"sleep 0.4; {GOOD}")
        specs.append(spec_named(tmp_path, f"tool{number}"))
    started = time.monotonic()
    found = probe_all(specs, env=env)
    assert time.monotonic() - started < 1.2
    assert [one.name for one in found] == [spec.name for spec in specs]


def counted(program: Program, folder: Path) -> Path:
    log = folder / "calls"
    program("tool", f"echo $1 >> {log}; {GOOD}")
    log.touch()
    return log


def test_known_answers_are_not_asked_for_again(tmp_path: Path, env: dict[str, str], program: Program) -> None:
    log, cache = counted(program, tmp_path), tmp_path / "cache" / "probes.json"
    spec = spec_named(tmp_path)
    first = only(spec, env, cache)
    assert only(spec, env, cache) == first
    assert sorted(log.read_text().split()) == ["--version", "login"]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o600


def test_another_program_at_the_same_path_is_asked_anew(
    tmp_path: Path, env: dict[str, str], program: Program
) -> None:
    counted(program, tmp_path)
    spec, cache = spec_named(tmp_path), tmp_path / "probes.json"
    assert only(spec, env, cache).version == "1.2"
    program("tool", GOOD.replace("1.2", "1.3"))
    assert only(spec, env, cache).version == "1.3"


def test_a_login_is_seen_at_once(tmp_path: Path, env: dict[str, str], program: Program) -> None:
    log, cache = counted(program, tmp_path), tmp_path / "probes.json"
    spec = spec_named(tmp_path)
    only(spec, env, cache)
    (Path(env["HOME"]) / ".tool").write_text("a credential")
    only(spec, env, cache)
    assert sorted(log.read_text().split()) == ["--version", "login", "login"]


def test_a_known_login_holds_for_a_minute_only(tmp_path: Path, env: dict[str, str], program: Program) -> None:
    log, cache = counted(program, tmp_path), tmp_path / "probes.json"
    spec = spec_named(tmp_path)
    only(spec, env, cache)
    kept = json.loads(cache.read_text())
    for login in kept["logins"].values():
        login["at"] -= 61
    cache.write_text(json.dumps(kept))
    only(spec, env, cache)
    assert log.read_text().split().count("login") == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"versions": 3',
        "[1]",
        "\udcff",
        "[" * 100_000,
        '{"versions": {"a": 1}, "logins": {}}',
        '{"versions": {}, "logins": {"a": 1}}',
        '{"versions": {}, "logins": {"a": {"at": 1}}}',
        '{"versions": {}, "logins": {"a": {"state": "happy", "at": 1}}}',
        f'{{"versions": {{}}, "logins": {{"a": {{"state": "ready", "at": 1{"0" * 400}}}}}}}',
    ],
)
def test_a_broken_cache_file_is_made_anew(
    tmp_path: Path, env: dict[str, str], program: Program, text: str
) -> None:
    program("tool", GOOD)
    cache = tmp_path / "probes.json"
    cache.write_bytes(text.encode(errors="surrogateescape"))
    assert only(spec_named(tmp_path), env, cache).version == "1.2"
    assert json.loads(cache.read_text())["versions"]


def test_practice_is_always_there_and_ready(env: dict[str, str]) -> None:
    found = only(load_catalogue()["practice"], {**env, "PATH": ""})
    assert (found.version, found.login, found.broken) == (__version__, LoginState.READY, False)


def test_codex_with_a_provider_of_its_own_is_ready(env: dict[str, str], program: Program) -> None:
    program("codex", 'case $1 in --version) echo "codex-cli 0.1.2";; *) echo "Not logged in"; exit 1;; esac')
    spec = load_catalogue()["codex"]
    assert only(spec, env).login is LoginState.NOT_LOGGED_IN
    home = Path(env["HOME"]) / ".codex"
    home.mkdir()
    (home / "config.toml").write_text('model_provider = "p"\n[model_providers.p]\nenv_key = "P_KEY"\n')
    assert only(spec, env).login is LoginState.NOT_LOGGED_IN
    assert only(spec, {**env, "P_KEY": "k"}).login is LoginState.READY


@pytest.mark.real_agents
def test_the_real_programs_are_recognised(real_agents: Path, env: dict[str, str]) -> None:
    catalogue = load_catalogue()
    path = f"{real_agents / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    found = probe_all([catalogue["claude"], catalogue["codex"]], env={**env, "PATH": path})
    assert [(one.name, one.login, one.broken) for one in found] == [
        ("claude", LoginState.NOT_LOGGED_IN, False),
        ("codex", LoginState.NOT_LOGGED_IN, False),
    ]
    assert all(one.version[0].isdigit() for one in found)
