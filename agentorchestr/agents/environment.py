"""The environment an agent starts with: the person's, without what would mislead it, with what it needs."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from agentorchestr.errors import OrchestrError
from agentorchestr.process import MARK_VARIABLE, run

TOKEN_VARIABLE = "AGENTORCHESTR_TOKEN"  # noqa: S105 - the variable's name, not a token
"""Where an agent finds its token when its MCP configuration names a variable; set by its spec."""
DONE_FLAG = ".agentorchestr/done.flag"

# Left behind by a multiplexer, an agent, an editor or a git hook around us: with them an agent thinks it
# runs inside another one, draws for the wrong terminal, or works on the wrong repository.
NESTED = frozenset(
    {
        MARK_VARIABLE,
        TOKEN_VARIABLE,
        "TMUX",
        "TMUX_PANE",
        "STY",
        "LINES",
        "COLUMNS",
        "CLAUDECODE",
        "CLAUDE_PID",
        "CLAUDE_EFFORT",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_SSE_PORT",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_SESSION_KIND",
        "CLAUDE_CODE_SESSION_NAME",
        "CLAUDE_CODE_SESSION_ATTENDED",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
        "CLAUDE_CODE_TMUX_SESSION",
        "AI_AGENT",
        "CODEX_THREAD_ID",
        "CODEX_SESSION_ID",
        "CODEX_TOOL_CALL_ID",
        "CODEX_SANDBOX",
        "CODEX_SANDBOX_NETWORK_DISABLED",
        "CODEX_INTERNAL_ORIGINATOR_OVERRIDE",
        "CODEX_MANAGED_PACKAGE_ROOT",
        "CODEX_MANAGED_BY_NPM",
        "CODEX_MANAGED_BY_BUN",
        "CODEX_MANAGED_BY_PNPM",
        "GEMINI_CLI",
        "QWEN_CODE",
        "OPENCODE",
        "OPENCODE_PID",
        "CURSOR_AGENT",
        "TERM_PROGRAM",
        "TERM_PROGRAM_VERSION",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
    }
)


def clean(env: Mapping[str, str]) -> dict[str, str]:
    """A copy of *env* without what belongs to a program around us, or to another worker of ours."""
    return {name: value for name, value in env.items() if name not in NESTED}


def expand(path: str, env: Mapping[str, str]) -> Path | None:
    """*path* with ``~`` and a leading ``$VARIABLE`` filled in from *env*; None when one is not set.

    ``$CODEX_HOME|~/.codex`` means the variable, or the default when it is not set.
    """
    for choice in path.split("|"):
        head, slash, rest = choice.partition("/")
        if head == "~":
            head = env.get("HOME", "")
        elif head.startswith("$"):
            head = env.get(head[1:], "")
        if head or (slash and choice.startswith("/")):
            return Path(head + slash + rest)
    return None


def with_path(env: Mapping[str, str], first: Path) -> str:
    """PATH with *first* before all that is there."""
    rest = env.get("PATH", "") or os.defpath
    return f"{first}{os.pathsep}{rest}"


def git_excludes(env: Mapping[str, str], worktree: Path, *, set_up: Iterable[str] = ()) -> str:
    """The person's own ignore rules and ours, as the text of one ignore file.

    git reads one global ignore file only, so naming ours would switch the person's off.
    """
    # A rule such as ``node_modules/`` covers a folder, not the link to one that the set-up makes.
    lines = [f"/{DONE_FLAG}", *(f"/{name}" for name in set_up)]
    theirs = _global_excludes(env, worktree)
    if theirs is not None and theirs.is_file():
        lines.insert(0, theirs.read_text(errors="replace").rstrip("\n"))
    return "\n".join(lines) + "\n"


def _global_excludes(env: Mapping[str, str], worktree: Path) -> Path | None:
    try:
        asked = run(
            ["git", "config", "--type=path", "--get", "core.excludesFile"],
            timeout_s=2.0,
            cwd=worktree,
            env=env,
        )
    except OrchestrError:
        return None
    if asked.returncode == 0:
        return worktree / asked.text.rstrip("\n")
    folder = expand("$XDG_CONFIG_HOME|~/.config", env)
    return folder / "git" / "ignore" if folder else None


def git_settings(env: Mapping[str, str], settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Variables that give git more *settings*, after those which *env* gives already."""
    count = env.get("GIT_CONFIG_COUNT", "")
    at = int(count) if count.isdecimal() else 0
    added: dict[str, str] = {}
    for key, value in settings:
        added[f"GIT_CONFIG_KEY_{at}"] = key
        added[f"GIT_CONFIG_VALUE_{at}"] = value
        at += 1
    return {**added, "GIT_CONFIG_COUNT": str(at)}
