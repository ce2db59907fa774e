"""Run git: never asking, never hooking, always with a time limit, safe for any file name."""

import contextlib
import functools
import logging
import os
import re
import signal
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from agentorchestr.clock import until
from agentorchestr.errors import GitError, MissingDependency

logger = logging.getLogger(__name__)

DEFAULT_S = 60.0
CHECKOUT_S = 600.0
"""For what writes or reads whole trees."""
LOCK_WAIT_S = 5.0

OUR_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "core.safecrlf": "false",
    "commit.gpgsign": "false",
    "merge.autoStash": "false",
    "merge.verifySignatures": "false",
    "rerere.enabled": "false",
    "submodule.recurse": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
}
OUR_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_EDITOR": ":",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}
FALLBACK_NAME = "agentorchestr"
FALLBACK_EMAIL = "agentorchestr@localhost"

# What git itself lists as bound to one repository (rev-parse --local-env-vars): a hook or an
# alias that started us would otherwise point every call of ours at its own repository.
FOREIGN_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
# The last two are races of git with itself: one process lists the worktrees while another has
# made only half of a new one's administration folder.
LOCKED = re.compile(
    r"\.lock': File exists|[Uu]nable to create '.*\.lock'|cannot lock ref|could not lock config"
    r"|could not create directory of|failed to read .*(commondir|gitdir|HEAD)",
    re.DOTALL,
)
NO_IDENTITY = re.compile(
    r"no (name|email) was given|empty ident name|tell me who you are|unable to auto-detect"
)


@dataclass(frozen=True)
class GitAnswer:
    """How a git command ended. ``out`` is raw, without its last newline."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """The output as a path or name: undecodable bytes survive a round trip to the file system."""
        return os.fsdecode(self.out)

    @property
    def records(self) -> list[bytes]:
        """The parts of a ``-z`` output."""
        return self.out.rstrip(b"\0").split(b"\0") if self.out.rstrip(b"\0") else []


def run_git(
    cwd: Path,
    *words: str,
    timeout_s: float = DEFAULT_S,
    stdin: bytes | BinaryIO = b"",
    env: Mapping[str, str] | None = None,
    accept: Collection[int] = (0,),
    config: Mapping[str, str] | None = None,
    wait_for_locks: bool = True,
) -> GitAnswer:
    """Run ``git *words`` in *cwd*; a lock that another git holds is waited for.

    *stdin* is bytes or an open file, read from its beginning. Raises ``GitError`` for an exit code
    that is not in *accept* and at the time limit, ``MissingDependency`` without git.
    """
    answers: list[GitAnswer] = []

    def settled() -> bool:
        answers.append(
            _once(
                cwd,
                words,
                timeout_s=timeout_s,
                stdin=stdin,
                env=env or {},
                config={**OUR_CONFIG, **(config or {})},
            )
        )
        last = answers[-1]
        return last.code in accept or not wait_for_locks or LOCKED.search(last.err) is None

    until(settled, within_s=LOCK_WAIT_S, every_s=0.05)
    answer = answers[-1]
    if answer.code not in accept:
        raise GitError(f"git {words[0]} failed in {cwd}: {answer.err or f'exit code {answer.code}'}")
    return answer


def _once(
    cwd: Path,
    words: tuple[str, ...],
    *,
    timeout_s: float,
    stdin: bytes | BinaryIO,
    env: Mapping[str, str],
    config: Mapping[str, str],
) -> GitAnswer:
    git = _gitpython()
    # GitPython falls back to its own directory when cwd is not usable; -C makes git refuse instead.
    argv = [*_without_foreign(), "git", "-C", os.fspath(cwd)]
    for key, value in config.items():
        argv += ["-c", f"{key}={value}"]
    started = time.monotonic()
    with _input(stdin) as istream:
        try:
            code, out, err = git.Git(os.fspath(cwd)).execute(
                [*argv, *words],
                istream=istream,
                env={**OUR_ENVIRONMENT, **env},
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                kill_after_timeout=timeout_s,
                start_new_session=True,
            )
        except git.GitCommandNotFound as exc:
            raise MissingDependency("git is not installed", hint="install it, e.g. apt install git") from exc
    took_s = time.monotonic() - started
    logger.debug("git ran", extra={"detail": words[0], "took_ms": round(took_s * 1000)})
    if code == -signal.SIGKILL and took_s >= timeout_s:
        raise GitError(f"git {words[0]} did not end within {timeout_s:g} s in {cwd}")
    return GitAnswer(code, out, err)


def _gitpython() -> ModuleType:
    # Late: it costs 50 ms.
    try:
        import git
    except ImportError as exc:
        # GitPython itself raises ImportError when it finds no git program.
        raise MissingDependency(
            f"git cannot be used: {exc}", hint="install it, e.g. apt install git"
        ) from exc
    return git


def _without_foreign() -> list[str]:
    found = [name for name in FOREIGN_VARIABLES if name in os.environ]
    return ["env", *(word for name in found for word in ("-u", name))] if found else []


@contextlib.contextmanager
def _input(stdin: bytes | BinaryIO) -> Iterator[BinaryIO | None]:
    if not isinstance(stdin, bytes):
        stdin.seek(0)
        yield stdin
    elif stdin:
        with tempfile.TemporaryFile() as source:  # nameless: nobody else can open it
            source.write(stdin)
            source.seek(0)
            yield source
    else:
        yield None


def run_with_identity(
    cwd: Path, *words: str, stdin: bytes = b"", timeout_s: float = DEFAULT_S, accept: Collection[int] = (0,)
) -> GitAnswer:
    """Run a command that makes a commit; our name stands in only where none is configured."""
    strict = {"user.useConfigOnly": "true"}
    answer = run_git(cwd, *words, stdin=stdin, timeout_s=timeout_s, config=strict, accept=range(256))
    if answer.code in accept:
        return answer
    if NO_IDENTITY.search(answer.err) is None:
        raise GitError(f"git {words[0]} failed in {cwd}: {answer.err}")
    return run_git(cwd, *words, stdin=stdin, timeout_s=timeout_s, env=_identity(cwd), accept=accept)


def _identity(cwd: Path) -> dict[str, str]:
    name = run_git(cwd, "config", "user.name", accept=(0, 1)).text or FALLBACK_NAME
    email = run_git(cwd, "config", "user.email", accept=(0, 1)).text or FALLBACK_EMAIL
    given = {
        key: os.environ[key]
        for key in os.environ
        if re.fullmatch(r"GIT_(AUTHOR|COMMITTER)_(NAME|EMAIL)", key)
    }
    fallback = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", name), ("EMAIL", email))
    }
    return {**fallback, **{key: value for key, value in given.items() if value}}


@functools.cache
def git_version() -> tuple[int, int]:
    """Tell the version of git, e.g. ``(2, 39)``."""
    found = re.search(r"(\d+)\.(\d+)", run_git(Path("/"), "--version").text)
    if found is None:
        raise GitError("git does not tell its version")
    return int(found[1]), int(found[2])


def shown(name: bytes) -> str:
    """*name* as text that any file or terminal can hold: bytes that are not UTF-8 are escaped."""
    return name.decode("utf-8", "backslashreplace")
