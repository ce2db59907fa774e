"""Run programs and read the process table; nothing here goes through a shell."""

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

from agentorchestr.clock import until
from agentorchestr.errors import MissingDependency, OrchestrError

P = ParamSpec("P")
T = TypeVar("T")

MARK_VARIABLE = "AGENTORCHESTR_MARK"
"""Every process of ours carries ``<session_id>:<worker_id>`` here, so that leftovers can be found."""


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
        end_group(child.pid)
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
    try:
        tail, timed_out = _read_tail(child, deadline=started + timeout_s, keep_bytes=keep_bytes)
    finally:
        end_group(child.pid)
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


def end_group(pgid: int, *, sig: int = signal.SIGKILL) -> None:
    """Signal a process group that we started; a group that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, sig)


def start_time(pid: int) -> float | None:
    """When *pid* started (seconds since the epoch), or None when no such process runs.

    A zombie counts as gone: it runs nothing. Together with the pid this names a process for good.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def lives(pid: int, started: float) -> bool:
    """Whether the process that had this pid when it started at *started* still runs."""
    now = start_time(pid) if pid else None
    return now is not None and abs(now - started) < CLOCK_SLACK_S


@dataclass(frozen=True)
class Activity:
    """A process and all below it at one moment. Two of them tell whether anything happened in between."""

    pids: frozenset[int]
    cpu_s: float


def activity(pid: int) -> Activity | None:
    """Who runs below *pid*, itself included, and the CPU time they used; None when it is gone."""
    import psutil

    try:
        top = psutil.Process(pid)
        family = [top, *top.children(recursive=True)]
    except psutil.Error:
        return None
    cpu_s = 0.0
    for process in family:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu_s += times.user + times.system
    return Activity(frozenset(process.pid for process in family), cpu_s)


def marked(mark_prefix: str) -> list[int]:
    """Pids of this user's living processes whose mark begins with *mark_prefix*, oldest first.

    Source: the environment of each process, as the kernel shows it to its owner.
    """
    import psutil

    found: list[tuple[float, int]] = []
    me = os.geteuid()
    for process in psutil.process_iter():
        try:
            if process.uids().effective != me or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK_VARIABLE, "").startswith(mark_prefix):
                found.append((process.create_time(), process.pid))
        except psutil.Error:
            continue
    return [pid for _, pid in sorted(found)]


CLOCK_SLACK_S = 1.0
"""A start time is told in ticks since boot: a corrected wall clock moves it by a little."""


def end_marked(mark_prefix: str, *, grace_s: float = 2.0) -> list[int]:
    """End every process with this mark: SIGTERM, then after *grace_s* SIGKILL. Returns their pids."""
    mine = {os.getpid(), os.getppid()}
    victims = {pid: start_time(pid) for pid in marked(mark_prefix) if pid not in mine}
    living = {pid: started for pid, started in victims.items() if started is not None}
    for sig in (signal.SIGTERM, signal.SIGKILL):
        for pid in _still_there(living):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sig)
        if until(lambda: not _still_there(living), within_s=grace_s):
            break
    return list(living)


def _still_there(living: Mapping[int, float]) -> list[int]:
    """Which of these still run. A zombie has ended: tmux 3.3a leaves a dead pane's program one for good."""
    return [pid for pid, started in living.items() if lives(pid, started)]
