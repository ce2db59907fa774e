"""The processes of this machine that are ours: found by what the kernel knows of them, ended one by one.

A pid alone proves nothing, it may be somebody else's by now: a process is named by pid and start time,
and both are compared immediately before each signal.
"""

import contextlib
import os
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentorchestr.clock import until

if TYPE_CHECKING:
    import psutil

MARK_VARIABLE = "AGENTORCHESTR_MARK"
"""Every process of ours carries ``<session_id>:<worker_id>`` here, so that leftovers can be found."""
CLOCK_SLACK_S = 1.0
"""A start time is told in ticks since boot: a corrected wall clock moves it by a little."""
ROUNDS = 5
"""How often what is still there, or was forked meanwhile, is killed."""
OWN_END_S = 2.0
KILL_S = 1.0


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


@dataclass(frozen=True)
class Row:
    """One living process of this user. ``mark`` is empty for one without."""

    pid: int
    parent: int
    started: float
    mark: str = ""


def marked(mark_prefix: str | tuple[str, ...]) -> list[int]:
    """Pids of this user's living processes whose mark begins with (one of) *mark_prefix*, oldest first.

    Source: the environment of each process, as the kernel shows it to its owner.
    """
    found = [row for row in _rows(with_marks=True) if row.mark.startswith(mark_prefix) and row.mark]
    return [row.pid for row in sorted(found, key=lambda row: (row.started, row.pid))]


def _rows(*, with_marks: bool) -> Iterator[Row]:
    import psutil

    me = os.geteuid()
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                if process.uids().effective != me or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                mark = _mark_of(process) if with_marks else ""
                yield Row(process.pid, process.ppid(), process.create_time(), mark)
        except psutil.Error:
            continue


def _mark_of(process: "psutil.Process") -> str:
    return process.environ().get(MARK_VARIABLE, "")


def family(seeds: Mapping[int, float], rows: Iterable[Row] | None = None) -> dict[int, float]:
    """*seeds* that live, all below them, and all in a session or group that one of these leads.

    So one that dropped its mark is found as long as whoever started it lives, or its session's leader does.
    Does not go through this very process: what it runs is its own affair.
    """
    table = {row.pid: row for row in (_rows(with_marks=False) if rows is None else rows)}
    children: dict[int, list[Row]] = {}
    for row in table.values():
        for place in {row.parent, *_led_by(row.pid)} - {row.pid}:
            children.setdefault(place, []).append(row)
    found: dict[int, float] = {}
    waiting = [
        table[pid]
        for pid, started in seeds.items()
        if pid in table and abs(table[pid].started - started) < CLOCK_SLACK_S
    ]
    while waiting:
        row = waiting.pop()
        if row.pid in found or row.pid == os.getpid():
            continue
        found[row.pid] = row.started
        # A child is never older than its parent: an older one had another parent of that pid.
        waiting += [child for child in children.get(row.pid, ()) if child.started >= row.started - 0.05]
    return found


def _led_by(pid: int) -> set[int]:
    """The leaders of the session and of the group *pid* is in."""
    try:
        return {os.getsid(pid), os.getpgid(pid)}
    except OSError:
        return set()


def signal_process(pid: int, started: float, sig: int) -> bool:
    """Send *sig* to the process that had *pid* when it started at *started*, and to no other.

    Whether it was sent.
    """
    try:
        # Opened before the look: from here on the number cannot come to mean another process.
        handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError:
        return False
    try:
        if not lives(pid, started):
            return False
        if handle is None:
            os.kill(pid, sig)
        else:
            signal.pidfd_send_signal(handle, sig)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if handle is not None:
            os.close(handle)
    return True


def ask_to_end(agents: Collection[tuple[int, float]], *, within_s: float = OWN_END_S) -> None:
    """Send SIGTERM to *agents* (pid and start time) alone, and wait for their own ends.

    Before what they started: an agent whose tool was ended would take that for the tool's own failure,
    and go on from there when it is resumed.
    """
    for pid, started in agents:
        signal_process(pid, started, signal.SIGTERM)
    until(lambda: not any(lives(*one) for one in agents), within_s=within_s)


def end_marked(
    mark_prefix: str | tuple[str, ...],
    *,
    grace_s: float = 2.0,
    known: Mapping[int, float] | None = None,
    scopes: Collection[Path] = (),
) -> list[int]:
    """End every process with this mark and its family: SIGTERM, then after *grace_s* SIGKILL; their pids.

    *known* are processes seen as ours before, by pid and start time; *scopes* are cgroups that hold nothing
    but ours. What is forked meanwhile is ended as well. The caller and its parent are spared.
    """
    ended = _find(mark_prefix, known or {}, scopes)
    for pid, started in ended.items():
        signal_process(pid, started, signal.SIGTERM)
    until(lambda: not any(lives(*one) for one in ended.items()), within_s=grace_s)
    for _ in range(ROUNDS):
        left = _find(mark_prefix, {**(known or {}), **ended}, scopes)
        if not left:
            break
        ended.update(left)
        for pid, started in left.items():
            signal_process(pid, started, signal.SIGKILL)
        until(lambda gone=left: not any(lives(*one) for one in gone.items()), within_s=KILL_S)  # type: ignore[misc]
    return list(ended)


def _find(
    mark_prefix: str | tuple[str, ...], known: Mapping[int, float], scopes: Collection[Path]
) -> dict[int, float]:
    rows = list(_rows(with_marks=True))
    inside = {pid for scope in scopes for pid in members(scope)}
    seeds = dict(known)
    for row in sorted(rows, key=lambda row: (row.started, row.pid)):
        if (row.mark and row.mark.startswith(mark_prefix)) or row.pid in inside:
            seeds[row.pid] = row.started
    spared = {os.getpid(), os.getppid()}
    return {pid: started for pid, started in family(seeds, rows).items() if pid not in spared}


def open_scope(name: str) -> Path | None:
    """Make the cgroup *name* below our own, for programs to go into; None where that cannot be.

    Only the second version of cgroups. Nothing is limited by it: it is there to be counted.
    """
    scope = scope_path(name)
    if scope is None:
        return None
    try:
        scope.mkdir(exist_ok=True)
    except OSError:
        return None
    return scope if os.access(scope / "cgroup.procs", os.W_OK) else None


def scope_path(name: str) -> Path | None:
    """Where the cgroup *name* below our own would be; None where there are no such groups."""
    try:
        own = next(line[3:] for line in _lines("/proc/self/cgroup") if line.startswith("0::"))
        mount = next(line.split()[4] for line in _lines("/proc/self/mountinfo") if " - cgroup2 " in line)
    except (OSError, StopIteration):
        return None
    return Path(mount, own.lstrip("/"), name)


def members(scope: Path) -> set[int]:
    """Who is in the cgroup *scope* or in one below it; nobody when it is gone."""
    found: set[int] = set()
    for base, _, _ in os.walk(scope):
        with contextlib.suppress(OSError, ValueError):
            found |= {int(line) for line in _lines(f"{base}/cgroup.procs")}
    return found


def close_scope(scope: Path) -> None:
    """Remove the cgroup *scope* and those below it; one that still holds somebody stays."""
    for base, _, _ in os.walk(scope, topdown=False):
        with contextlib.suppress(OSError):
            Path(base).rmdir()


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="ascii", errors="replace").splitlines()
