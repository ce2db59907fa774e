"""Turn a spec and a request into a command line, an environment and private config files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.agents import quirks
from agentorchestr.agents.environment import clean, git_excludes, git_settings, with_path
from agentorchestr.agents.spec import AgentSpec, Argv, Hooks, PromptBy
from agentorchestr.agents.templates import escaped, fill, fill_argv
from agentorchestr.agents.trust import trust_repository
from agentorchestr.errors import AgentError
from agentorchestr.paths import ensure_private, write_private
from agentorchestr.process import MARK_VARIABLE

__all__ = ["Launch", "LaunchRequest", "PromptBy", "build_launch", "one_shot", "trust_repository"]

MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.:/@+\[\]-]*")


@dataclass(frozen=True)
class LaunchRequest:
    """Everything that is particular to one start of one agent. Paths are absolute."""

    spec: AgentSpec
    binary: Path
    worker_id: str
    lead: bool
    worktree: Path
    repository: Path
    """Top of the person's main worktree: what an agent's trust is about."""
    agent_dir: Path
    """Private folder for config files; made when missing."""
    mcp_url: str
    token: str
    brief: Path
    first_line: str
    """A short line that points at the brief; holds no secret, since it may stand in argv."""
    hook_argv: tuple[str, ...]
    agent_session: str
    """A UUID of ours, for agents that let us choose."""
    base_env: Mapping[str, str]
    path_prefix: Path
    """Holds our ``agentorchestr`` command; put first on PATH."""
    mark: str
    kept_dir: Path | None = None
    """Private folder that outlives a reboot, for a transcript that lies nowhere else; None: *agent_dir*."""
    resume: str = ""
    """The agent's own session id to go on with."""
    set_up: tuple[str, ...] = ()
    """What our set-up put into the worktree by link or copy: never the agent's work."""
    model: str = ""
    """Only when the person's settings name one."""


@dataclass(frozen=True)
class Launch:
    """What to execute: ``argv[0]`` is absolute, ``env`` is the whole environment."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path
    prompt_by: PromptBy
    agent_session: str


def build_launch(request: LaunchRequest) -> Launch:
    """Prepare the start of an agent in a pane; writes its config files, touches nothing else.

    Raises ``AgentNotReady`` when this agent would refuse to run here.
    """
    return _prepare(request, request.spec.launch.argv, request.first_line)


def one_shot(request: LaunchRequest, prompt: str) -> Launch:
    """Prepare a run to the end of one prompt without a terminal UI; stdin must be closed.

    Raises ``AgentError`` when the agent has no such mode.
    """
    if not request.spec.launch.one_shot:
        raise AgentError(
            f"{request.spec.title} cannot run without a terminal",
            hint="install tmux, or choose another agent",
        )
    return _prepare(request, request.spec.launch.one_shot, prompt)


def _prepare(request: LaunchRequest, words: Argv, prompt: str) -> Launch:
    spec = request.spec
    if request.model and not MODEL_NAME.fullmatch(request.model):
        raise AgentError(f"not a model's name: {request.model!r}")
    env = _environment(request)
    if "claude_root" in spec.quirks:
        quirks.require_sandbox_for_root(env)
    binary = request.binary
    if "codex_native" in spec.quirks:
        binary = quirks.native_codex(binary)
    ensure_private(request.agent_dir)
    values = _values(request, prompt)
    _require_text(values)
    for template in spec.files:
        target = request.agent_dir / template.path
        ensure_private(target.parent)
        write_private(target, fill(template.text, values, escape=template.escape))
    for name, text in spec.env.items():
        env[name] = fill(text, values)
    rules = git_excludes(env, request.worktree, set_up=request.set_up)
    excludes = write_private(request.agent_dir / "git-excludes", rules)
    env.update(git_settings(env, [("core.excludesFile", str(excludes))]))
    return Launch(
        argv=(str(binary), *fill_argv(words, values)),
        env={name: value for name, value in env.items() if value or name not in spec.env},
        cwd=request.worktree,
        prompt_by=spec.prompt_by,
        agent_session=request.resume or request.agent_session,
    )


def _environment(request: LaunchRequest) -> dict[str, str]:
    env = clean(request.base_env)
    for name in request.spec.unset:
        env.pop(name, None)
    env["PATH"] = with_path(env, request.path_prefix)
    env["PWD"] = str(request.worktree)
    env[MARK_VARIABLE] = request.mark
    return env


def _values(request: LaunchRequest, prompt: str) -> dict[str, str]:
    hook_line = hook_command(request.hook_argv)
    table = hooks_table(request.spec.hooks, hook_line) if request.spec.hooks else {}
    return {
        "agent_dir": str(request.agent_dir),
        "brief": str(request.brief),
        "kept_dir": str(request.kept_dir or request.agent_dir),
        "fresh": "" if request.resume else request.agent_session,
        "hook_command": hook_line,
        "hook_words": json.dumps(list(request.hook_argv), ensure_ascii=False)[1:-1],
        "hooks_json": json.dumps(table, ensure_ascii=False),
        "hooks_toml": toml_inline(table),
        "mcp_url": request.mcp_url,
        "model": request.model,
        "prompt": prompt,
        "repository": str(request.repository),
        "resume": request.resume,
        "role": "lead" if request.lead else "worker",
        "token": request.token,
        "worker_id": request.worker_id,
        "worktree": str(request.worktree),
    }


def _require_text(values: Mapping[str, str]) -> None:
    """Raise ``AgentError`` for a path with bytes that no configuration file can hold."""
    for name, value in values.items():
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise AgentError(
                f"the {name.replace('_', ' ')} holds bytes that are not UTF-8: {value!r}",
                hint="rename the directory",
            ) from exc


def hook_command(words: tuple[str, ...]) -> str:
    """Our hook as the shell line that Claude Code and Codex want."""
    return " ".join(escaped(word, "shell") for word in words)


def hooks_table(hooks: Hooks, command: str) -> dict[str, object]:
    """The hooks in the shape which Claude Code, Codex, Gemini CLI and Qwen Code share."""
    handler = {"type": "command", "command": command, "timeout": hooks.timeout}
    matcher = {"matcher": hooks.matcher} if hooks.matcher else {}
    return {event: [{**matcher, "hooks": [handler]}] for event in hooks.events}


def toml_inline(value: object) -> str:
    """*value* (tables, lists, text, whole numbers) as inline TOML."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f'"{escaped(str(key), "toml")}" = {toml_inline(of)}' for key, of in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{', '.join(toml_inline(one) for one in value)}]"
    if isinstance(value, str):
        return f'"{escaped(value, "toml")}"'
    return str(value)
