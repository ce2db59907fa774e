"""Answer an agent's "do you trust this folder?" beforehand, since the person trusted the repository to us."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentorchestr.agents.environment import expand
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.clock import until
from agentorchestr.errors import AgentNotReady

LOCK_WAIT_S = 5.0
LOCK_STALE_S = 10.0
"""Claude Code itself takes a lock that old for one of a process that died."""
KEY_TAIL = 20


def trust_repository(spec: AgentSpec, repository: Path, env: Mapping[str, str]) -> None:
    """Let the agent work in *repository* and its worktrees without asking; other agents need nothing.

    Raises ``AgentNotReady`` when its settings cannot be read or written; they are never replaced then.
    """
    if spec.trust == "claude":
        _trust_claude(repository, env)


def _trust_claude(repository: Path, env: Mapping[str, str]) -> None:
    file = expand("$CLAUDE_CONFIG_DIR/.claude.json|~/.claude.json", env)
    if file is None:
        raise AgentNotReady("Claude Code has no home", hint="set HOME")
    target = file.resolve()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target):
            settings = _read(target, env)
            if _mark_trusted(settings, repository, env):
                _replace(target, settings)
    except OSError as exc:
        raise AgentNotReady(f"cannot write {target}: {exc.strerror}") from exc


def _read(file: Path, env: Mapping[str, str]) -> dict[str, object]:
    try:
        settings = json.loads(file.read_bytes())
    except FileNotFoundError:
        # Without a log-in the first-start screens have to come; with a key nothing is left to ask.
        given = env.get("ANTHROPIC_API_KEY") or env.get("ANTHROPIC_AUTH_TOKEN")
        return {"hasCompletedOnboarding": True} if given else {}
    except ValueError as exc:
        raise _unreadable(file) from exc
    if not isinstance(settings, dict):
        raise _unreadable(file)
    return settings


def _mark_trusted(settings: dict[str, object], repository: Path, env: Mapping[str, str]) -> bool:
    """Change *settings*; whether there was anything to change."""
    before = json.dumps(settings)
    projects = _table(settings, "projects")
    _table(projects, str(repository.resolve()))["hasTrustDialogAccepted"] = True
    if tail := env.get("ANTHROPIC_API_KEY", "")[-KEY_TAIL:]:
        # A key in the environment raises a question too; a "no" of the person's stays.
        answers = _table(settings, "customApiKeyResponses")
        approved, rejected = _list(answers, "approved"), _list(answers, "rejected")
        if tail not in approved and tail not in rejected:
            approved.append(tail)
    return json.dumps(settings) != before


def _table(parent: dict[str, object], key: str) -> dict[str, object]:
    child = parent.setdefault(key, {})
    if not isinstance(child, dict):
        raise AgentNotReady(f"Claude Code's settings hold something unexpected under {key!r}")
    return child


def _list(parent: dict[str, object], key: str) -> list[object]:
    child = parent.setdefault(key, [])
    if not isinstance(child, list):
        raise AgentNotReady(f"Claude Code's settings hold something unexpected under {key!r}")
    return child


def _unreadable(file: Path) -> AgentNotReady:
    return AgentNotReady(
        f"{file} is not JSON, so Claude Code's trust cannot be added to it",
        hint="start claude once in the repository: it repairs the file or asks",
    )


def _replace(file: Path, settings: Mapping[str, object]) -> None:
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    scratch = file.with_name(f"{file.name}.{os.getpid()}.{time.monotonic_ns()}.new")
    try:
        with os.fdopen(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w") as out:
            json.dump(settings, out, indent=2)
            out.flush()
            os.fsync(out.fileno())
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock that Claude Code itself takes: a folder beside the file."""
    lock = file.with_name(f"{file.name}.lock")
    if not until(lambda: _taken(lock), within_s=LOCK_WAIT_S):
        raise AgentNotReady(f"{lock} stays locked by another program")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.rmdir()


def _taken(lock: Path) -> bool:
    try:
        lock.mkdir()
    except FileExistsError:
        if _stale(lock):
            with contextlib.suppress(OSError):
                lock.rmdir()
        return False
    return True


def _stale(lock: Path) -> bool:
    try:
        return time.time() - lock.stat().st_mtime > LOCK_STALE_S
    except FileNotFoundError:
        return False
