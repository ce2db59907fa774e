import json
import os
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.agents import quirks
from agentorchestr.agents.launch import LaunchRequest, PromptBy, build_launch, one_shot
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.errors import AgentError, AgentNotReady
from agentorchestr.process import MARK_VARIABLE
from tests.agents.conftest import HOOK
from tests.agents.stage import TOKEN
from tests.conftest import git, make_repo

Make = Callable[..., LaunchRequest]
ALL = [
    *("aider", "amp", "claude", "codex", "copilot", "crush", "cursor-agent", "gemini", "goose", "kiro"),
    *("openclaude", "opencode", "practice", "qwen"),
]
AWKWARD = 're po\'s "new\nline" ü {token}'


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("start", ["pane", "one_shot"])
def test_no_secret_stands_in_argv_and_files_are_private(request_for: Make, name: str, start: str) -> None:
    request = request_for(name)
    launch = build_launch(request) if start == "pane" else None
    if launch is None:
        if not request.spec.launch.one_shot:
            pytest.skip("has no such mode")
        launch = one_shot(request, "the prompt")
    assert TOKEN not in "\0".join(launch.argv)
    assert "" not in launch.argv
    assert Path(launch.argv[0]).is_absolute()
    assert stat.S_IMODE(request.agent_dir.stat().st_mode) == 0o700
    for file in request.agent_dir.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600)
    assert git(request.worktree, "status", "--porcelain", "--ignored") == ""


@pytest.mark.parametrize("name", ALL)
def test_the_prompt_is_in_argv_or_is_typed(request_for: Make, name: str) -> None:
    request = request_for(name)
    launch = build_launch(request)
    assert launch.prompt_by is request.spec.prompt_by
    assert (request.first_line in launch.argv) == (launch.prompt_by is PromptBy.ARGV)


@pytest.mark.parametrize("name", ALL)
def test_an_agent_with_mcp_can_reach_ours(request_for: Make, name: str) -> None:
    request = request_for(name)
    launch = build_launch(request)
    texts = [file.read_text() for file in request.agent_dir.rglob("*") if file.is_file()]
    everything = "\n".join([*texts, *launch.argv, *launch.env.values()])
    assert (request.mcp_url in everything) == (request.spec.mcp is not None)
    assert (TOKEN in everything) == (request.spec.mcp is not None)


@pytest.mark.parametrize("name", ["claude", "openclaude", "gemini", "qwen", "copilot", "amp", "practice"])
def test_config_files_stay_json_for_awkward_values(request_for: Make, short_dir: Path, name: str) -> None:
    request = request_for(name, agent_dir=short_dir / AWKWARD, mcp_url=f"http://127.0.0.1:1/{AWKWARD}")
    build_launch(request)
    files = list(request.agent_dir.glob("*.json"))
    assert files
    assert any(request.mcp_url in _strings(json.loads(file.read_text())) for file in files)


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*(_strings(child) for child in children), set())


def test_codex_settings_stay_toml_for_awkward_paths(request_for: Make, tmp_path: Path) -> None:
    repo = make_repo(tmp_path / AWKWARD, {"a": "1"})
    launch = build_launch(request_for("codex", repository=repo, worktree=repo))
    settings = [launch.argv[at + 1] for at, word in enumerate(launch.argv) if word == "-c"]
    read = tomllib.loads("\n".join(settings))
    assert read["projects"] == {str(repo): {"trust_level": "trusted"}}
    assert read["mcp_servers"]["agentorchestr"]["bearer_token_env_var"] == "AGENTORCHESTR_TOKEN"
    assert launch.env["AGENTORCHESTR_TOKEN"] == TOKEN
    assert shlex.split(read["hooks"]["Stop"][0]["hooks"][0]["command"]) == list(HOOK)


def test_a_path_that_is_not_utf8_is_named(request_for: Make, repo: Path) -> None:
    odd = Path(os.fsdecode(b"/srv/caf\xe9"))
    with pytest.raises(AgentError, match="repository holds bytes that are not UTF-8"):
        build_launch(request_for("claude", repository=odd))


def test_claudes_hooks_call_ours_through_a_shell_unharmed(request_for: Make) -> None:
    request = request_for("claude")
    build_launch(request)
    settings = json.loads((request.agent_dir / "settings.json").read_text())
    command = settings["hooks"]["Stop"][0]["hooks"][0]["command"]
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, check=True, text=True
    ).stdout
    assert shown.splitlines() == list(HOOK)
    assert set(settings["hooks"]) == set(request.spec.hooks.events if request.spec.hooks else ())


def test_practice_gets_the_hook_as_words(request_for: Make) -> None:
    request = request_for("practice")
    build_launch(request)
    assert json.loads((request.agent_dir / "hooks.json").read_text()) == {"command": list(HOOK)}


def test_the_environment_is_the_persons_without_what_misleads(request_for: Make, short_dir: Path) -> None:
    base = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(short_dir),
        "IS_SANDBOX": "1",
        "LANG": "C.UTF-8",
        "TMUX": "/x,1,0",
        "CLAUDECODE": "1",
        "CLAUDE_CODE_SESSION_ID": "s",
        "GIT_DIR": "/other/.git",
        "CODEX_THREAD_ID": "t",
        MARK_VARIABLE: "other:w9",
        "AGENTORCHESTR_TOKEN": "of another",
        "ANTHROPIC_API_KEY": "k",
        "CLAUDE_CONFIG_DIR": "/c",
        "AGENTORCHESTR_PRACTICE_SCENARIO": "/s.toml",
    }
    request = request_for("claude", base_env=base, mark="session:w1")
    env = build_launch(request).env
    assert not {"TMUX", "CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "GIT_DIR", "CODEX_THREAD_ID"} & set(env)
    assert "AGENTORCHESTR_TOKEN" not in env
    assert env[MARK_VARIABLE] == "session:w1"
    assert env["PATH"] == f"{request.path_prefix}{os.pathsep}/usr/bin:/bin"
    assert env["AGENTORCHESTR_PRACTICE_SCENARIO"] == "/s.toml"
    assert (env["ANTHROPIC_API_KEY"], env["CLAUDE_CONFIG_DIR"]) == ("k", "/c")
    assert base["TMUX"] == "/x,1,0"


def test_git_in_the_worktree_ignores_our_flag_and_what_the_person_ignores(
    request_for: Make, private_home: dict[str, str], repo: Path
) -> None:
    theirs = Path(private_home["HOME"]) / "my ignores"
    theirs.write_text("*.scratch")
    (Path(private_home["HOME"]) / ".gitconfig").write_text(f'[core]\n\texcludesFile = "{theirs}"\n')
    env = build_launch(request_for("codex")).env
    (repo / ".agentorchestr").mkdir()
    for name in (".agentorchestr/done.flag", "a.scratch", "seen.txt"):
        (repo / name).write_text("x")
    shown = subprocess.run(
        ["git", "status", "--porcelain", "-uall"],
        cwd=repo,
        env=env,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert shown == "?? seen.txt\n"


def test_git_settings_of_the_persons_environment_stay(
    request_for: Make, private_home: dict[str, str]
) -> None:
    mine = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Me"}
    env = build_launch(request_for("codex", base_env={**private_home, **mine})).env
    asked = ["git", "config", "--get", "user.name"]
    assert subprocess.run(asked, env=env, capture_output=True, check=True).stdout == b"Me\n"
    assert env["GIT_CONFIG_COUNT"] == "2"


def test_a_new_session_is_named_and_an_old_one_resumed(request_for: Make) -> None:
    new = build_launch(request_for("claude", agent_session="id-1"))
    assert _after(new.argv, "--session-id") == "id-1"
    assert "--resume" not in new.argv
    old = build_launch(request_for("claude", resume="id-0"))
    assert _after(old.argv, "--resume") == "id-0"
    assert "--session-id" not in old.argv
    assert (new.agent_session, old.agent_session) == ("id-1", "id-0")
    assert build_launch(request_for("codex", resume="id-0")).argv[1:3] == ("resume", "id-0")


def _after(argv: tuple[str, ...], word: str) -> str:
    return argv[argv.index(word) + 1]


def test_a_model_is_named_only_when_the_person_chose_one(request_for: Make) -> None:
    assert "--model" not in build_launch(request_for("claude")).argv
    assert _after(build_launch(request_for("claude", model="opus")).argv, "--model") == "opus"
    with pytest.raises(AgentError, match="not a model's name"):
        build_launch(request_for("claude", model="--dangerous"))


def test_claude_as_root_needs_the_sandbox_variable() -> None:
    with pytest.raises(AgentNotReady) as caught:
        quirks.require_sandbox_for_root({"IS_SANDBOX": "yes"}, euid=0)
    assert "IS_SANDBOX=1" in caught.value.hint
    quirks.require_sandbox_for_root({"IS_SANDBOX": "1"}, euid=0)
    quirks.require_sandbox_for_root({}, euid=1000)


def test_an_agent_that_needs_a_terminal_says_so(request_for: Make, catalogue: dict[str, AgentSpec]) -> None:
    lines = catalogue["goose"].launch.model_copy(update={"one_shot": ()})
    request = request_for("goose", spec=catalogue["goose"].model_copy(update={"launch": lines}))
    with pytest.raises(AgentError, match="without a terminal"):
        one_shot(request, "p")


def _npm(folder: Path, *, version: str, native: str) -> Path:
    package = folder / "node_modules" / "@openai" / "codex"
    (package / "bin").mkdir(parents=True)
    (package / "bin" / "codex.js").write_text("")
    (package / "package.json").write_text(json.dumps({"version": version}))
    for name, triple in quirks.CODEX_TARGETS.values():
        program = package.parent / name / "vendor" / triple / "bin" / "codex"
        program.parent.mkdir(parents=True)
        program.write_text("")
        program.chmod(0o755)
        (package.parent / name / "package.json").write_text(json.dumps({"version": native}))
    link = folder / "codex"
    link.symlink_to(package / "bin" / "codex.js")
    return link


def test_codex_native_program_is_started_in_place_of_its_wrapper(tmp_path: Path) -> None:
    link = _npm(tmp_path, version="0.1.2", native="0.1.2-linux-x64")
    found = quirks.native_codex(link)
    assert found.name == "codex"
    assert "vendor" in found.parts


def test_a_native_codex_of_another_version_is_left_alone(tmp_path: Path) -> None:
    link = _npm(tmp_path, version="0.1.2", native="0.9.9")
    assert quirks.native_codex(link) == link


def test_a_codex_that_is_no_npm_wrapper_is_left_alone(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text("")
    assert quirks.native_codex(program) == program
