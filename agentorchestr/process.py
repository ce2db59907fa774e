"""Run programs; nothing here goes through a shell. The process table is read in ``process_table``."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from agentorchestr.errors import MissingDependency, OrchestrError
from agentorchestr.process_table import (
    CLOCK_SLACK_S,
    MARK_VARIABLE,
    Activity,
    activity,
    ask_to_end,
    end_marked,
    lives,
    marked,
    start_time,
)

__all__ = [
    "CLOCK_SLACK_S",
    "MARK_VARIABLE",
    "Activity",
    "Completed",
    "ProgramTimeout",
    "Watched",
    "activity",
    "ask_to_end",
    "end_group",
    "end_marked",
    "lives",
    "marked",
    "offload",
    "run",
    "run_foreground",
    "run_watched",
    "start_time",
]

P = ParamSpec("P")
T = TypeVar("T")


class ProgramTimeout(OrchestrError):
    """A program did not end within its time limit; its whole process group was ended."""


@dataclass(frozen=True)
class Completed:
    """How a program ended. ``returncode`` is negative for a signal, as in ``subprocess``."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    took_s: float

    @property
    def text(self) -> str:
        """Standard output as UTF-8, undecodable bytes replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def error_text(self) -> str:
        """Standard error as UTF-8, stripped."""
        return self.stderr.decode(errors="replace").strip()


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    merge_stderr: bool = False,
) -> Completed:
    """Run *argv* to its end and keep what it printed.

    It gets its own process group, so that at the time limit its children end with it.

    Raises ``ProgramTimeout`` at the limit and ``MissingDependency`` when the program is not there.
    """
    words = tuple(os.fspath(word) for word in argv)
    started = time.monotonic()
    try:
        child = subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_stderr else subprocess.PIPE,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as exc:
        if cwd is not None and not cwd.is_dir():
            raise OrchestrError(f"cannot run {words[0]}: the directory {cwd} is missing") from exc
        raise MissingDependency(f"cannot run {words[0]}: {exc.strerror}") from exc
    try:
        out, err = child.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired as exc:
        # Not waited for yet, so its number is its own.
        end_group(child.pid, start_time(child.pid))
        # A grandchild in a group of its own may hold the pipes open for as long as it likes.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=0.5)
        child.wait()
        raise ProgramTimeout(f"{words[0]} did not end within {timeout_s:g} s") from exc
    finally:
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
    return Completed(words, child.returncode, out, err or b"", time.monotonic() - started)


@dataclass(frozen=True)
class Watched:
    """How a program ended whose output may be endless: only the last bytes of it are kept."""

    returncode: int
    tail: bytes
    """Standard output and error as they came, the end of them."""
    took_s: float
    timed_out: bool


def run_watched(
    argv: Sequence[str], *, timeout_s: float, cwd: Path, env: Mapping[str, str], mark: str, keep_bytes: int
) -> Watched:
    """Run *argv* until it ends or *timeout_s* is over, then end whatever it left running.

    Leftovers are found by process group and by *mark*, so one that left the group ends as well.

    Raises ``MissingDependency`` when the program is not there.
    """
    started = time.monotonic()
    try:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**env, MARK_VARIABLE: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as exc:
        raise MissingDependency(f"cannot run {argv[0]}: {exc.strerror}") from exc
    born = start_time(child.pid)
    try:
        tail, timed_out = _read_tail(child, deadline=started + timeout_s, keep_bytes=keep_bytes)
    finally:
        end_group(child.pid, born)
        child.wait()
        end_marked(mark, grace_s=0.5)
        if child.stdout is not None:
            child.stdout.close()
    return Watched(child.returncode, tail, time.monotonic() - started, timed_out)


def _read_tail(child: "subprocess.Popen[bytes]", *, deadline: float, keep_bytes: int) -> tuple[bytes, bool]:
    """Read until the child itself ends: a leftover that holds the pipe open must not delay the answer."""
    if child.stdout is None:
        return b"", False
    tail = bytearray()
    fd = child.stdout.fileno()
    os.set_blocking(fd, False)
    ended, open_end = False, True
    with selectors.DefaultSelector() as waiting:
        waiting.register(fd, selectors.EVENT_READ)
        while not ended and time.monotonic() < deadline:
            # The state is asked before the read, so nothing printed before the end is missed.
            ended = child.poll() is not None
            if open_end:
                waiting.select(0 if ended else 0.05)
                open_end = _drain(fd, tail, keep_bytes=keep_bytes)
            elif not ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.05)
    return bytes(tail), not ended


def _drain(fd: int, tail: bytearray, *, keep_bytes: int) -> bool:
    """Move what waits in the pipe to *tail*, a bounded amount at once; False at its end."""
    for _ in range(64):
        try:
            piece = os.read(fd, 65536)
        except BlockingIOError:
            return True
        if not piece:
            return False
        tail += piece
        del tail[:-keep_bytes]
    return True


def run_foreground(argv: Sequence[str], *, env: Mapping[str, str]) -> int:
    """Run *argv* on the person's own terminal until it ends, and give its exit code.

    Raises ``MissingDependency`` when the program is not there.
    """
    try:
        return subprocess.run(argv, env=env, check=False).returncode
    except FileNotFoundError as exc:
        raise MissingDependency(f"cannot run {argv[0]}: {exc.strerror}") from exc


async def offload(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking *function* in a thread: the only bridge from the core to the drivers."""
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)


def end_group(pid: int, started: float | None) -> None:
    """Kill the process group that *pid* led, which we started at *started*; a group that is gone is fine."""
    now = start_time(pid)
    # No number is given out again while a group of it lives: only another leader makes it another group.
    if now is not None and (started is None or abs(now - started) >= CLOCK_SLACK_S):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
