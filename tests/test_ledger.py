"""Stopping ends exactly what is ours: what detached, what ignores SIGTERM, what dropped its mark; nothing else."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.ledger import FILE_NAME, Ledger
from agentorchestr.process import MARK_VARIABLE, end_group, end_marked, lives, run_watched, start_time
from agentorchestr.process_table import close_scope, members, open_scope, signal_process

STARTS = """
import os, signal, subprocess, sys, time
kind, told = sys.argv[1], sys.argv[2]
IDLE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(120)"
def tell(pid):
    with open(told + ".new", "w") as out:
        out.write(str(pid))
    os.rename(told + ".new", told)
def child(**options):
    return subprocess.Popen([sys.executable, "-c", IDLE], **options).pid
def twice(**options):
    # The child of a child that is gone: its parent is init, its session its own.
    if os.fork() == 0:
        os.setsid()
        tell(child(**options))
        os._exit(0)
    os.wait()
if kind == "plain":
    tell(child())
elif kind == "own session":
    tell(child(start_new_session=True))
elif kind == "no mark":
    tell(child(env={}))
elif kind == "double fork":
    twice(start_new_session=True)
elif kind == "all of it":
    twice(start_new_session=True, env={})
elif kind == "orphan":
    # Nobody's child and without a mark, but still in the session of who began it.
    if os.fork() == 0:
        tell(child(env={}))
        os._exit(0)
    os.wait()
elif kind == "forks at its end":
    def fork(*_):
        tell(child())
        os._exit(0)
    signal.signal(signal.SIGTERM, fork)
    open(told + ".ready", "w").close()
time.sleep(120)
"""
"""A program that starts another in some way and leaves its pid; each idles and ignores SIGTERM."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], Path]]]:
    """Starts the program as a pane would: the leader of a session of its own, with a mark."""
    begun: list[subprocess.Popen[bytes]] = []
    files: list[Path] = []

    def one(kind: str, mark: str, *, scope: str = "") -> tuple[subprocess.Popen[bytes], Path]:
        told = tmp_path / f"{len(begun)}.pid"
        env = {MARK_VARIABLE: mark, "PATH": os.environ["PATH"]}
        words = [sys.executable, "-c", STARTS, kind, str(told)]
        if scope:
            words = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', scope, *words]
        begun.append(subprocess.Popen(words, env=env, start_new_session=True))
        files.append(told)
        return begun[-1], told

    yield one
    for process in begun:
        process.kill()
        process.wait()
    for told in files:
        if told.exists():
            with_pid = int(told.read_text())
            signal_process(with_pid, start_time(with_pid) or 0.0, signal.SIGKILL)


def pid_in(told: Path) -> tuple[int, float]:
    assert until(told.exists, within_s=20)
    pid = int(told.read_text())
    started = start_time(pid)
    assert started is not None
    return pid, started


def new_id() -> str:
    return uuid.uuid4().hex[:12]


@pytest.mark.parametrize("kind", ["plain", "own session", "no mark", "double fork", "orphan"])
def test_whatever_an_agent_started_ends_with_it(
    start: Callable[..., object], tmp_path: Path, kind: str
) -> None:
    session = new_id()
    agent, told = start(kind, f"{session}:w1:")  # type: ignore[misc]
    other = pid_in(told)
    ended = Ledger(tmp_path, session).end("w1", grace_s=0.3)
    assert {agent.pid, other[0]} <= set(ended)
    assert not lives(*other)


def test_one_that_was_seen_is_ended_though_it_let_go_of_everything(
    start: Callable[..., object], tmp_path: Path
) -> None:
    session = new_id()
    agent, told = start("all of it", f"{session}:w1:")  # type: ignore[misc]
    other = pid_in(told)
    ledger = Ledger(tmp_path, session)
    ledger.look({"w1": (agent.pid, start_time(agent.pid) or 0.0)})
    # It was gone before anybody looked: only a cgroup could know it.
    seen = json.loads((tmp_path / FILE_NAME).read_text())["seen"]["w1"]
    assert str(agent.pid) in seen
    ledger._seen["w1"][other[0]] = other[1]
    ledger._write()
    agent.kill()
    agent.wait()
    ledger.look({})
    again = Ledger(tmp_path, session)
    assert again.end(grace_s=0.3) == [other[0]]
    assert not lives(*other)


def test_one_that_lets_go_after_it_was_seen_stays_in_the_ledger(
    start: Callable[..., object], tmp_path: Path
) -> None:
    session = new_id()
    agent, told = start("no mark", f"{session}:w1:")  # type: ignore[misc]
    other = pid_in(told)
    ledger = Ledger(tmp_path, session)
    ledger.look({"w1": (agent.pid, start_time(agent.pid) or 0.0)})
    agent.kill()
    agent.wait()
    ledger.look({})
    assert Ledger(tmp_path, session).end("w1", grace_s=0.3) == [other[0]]


def test_a_scope_holds_what_let_go_of_everything(start: Callable[..., object], tmp_path: Path) -> None:
    session = new_id()
    ledger = Ledger(tmp_path, session)
    scope = ledger.scope_for("w1")
    if not scope:
        pytest.skip("no cgroup can be made here")
    _, told = start("all of it", f"{session}:w1:", scope=scope)  # type: ignore[misc]
    other = pid_in(told)
    assert other[0] in members(Path(scope))
    ledger.end(grace_s=0.3)
    assert not lives(*other)
    assert not Path(scope).exists()
    assert not Path(scope).parent.exists()


def test_a_scope_that_holds_somebody_is_not_removed() -> None:
    scope = open_scope(f"agentorchestr-test-{new_id()}")
    if scope is None:
        pytest.skip("no cgroup can be made here")
    with subprocess.Popen(["sleep", "60"]) as process:
        (scope / "cgroup.procs").write_text(str(process.pid))
        close_scope(scope)
        assert members(scope) == {process.pid}
        process.kill()
    assert until(lambda: close_scope(scope) or not scope.exists(), within_s=5)


def test_what_is_forked_at_the_end_is_ended_too(start: Callable[..., object], tmp_path: Path) -> None:
    session = new_id()
    agent, told = start("forks at its end", f"{session}:w1:")  # type: ignore[misc]
    assert until(Path(f"{told}.ready").exists, within_s=20)
    end_marked(f"{session}:", grace_s=1.0)
    pid = int(told.read_text())
    assert start_time(pid) is None
    assert agent.poll() is not None


def test_nothing_foreign_is_signalled(start: Callable[..., object], tmp_path: Path) -> None:
    session = new_id()
    mine, told = start("plain", f"{session}:w1:")  # type: ignore[misc]
    pid_in(told)
    other, other_told = start("plain", f"{session}x:w1:")  # type: ignore[misc]
    unmarked = subprocess.Popen(["sleep", "60"])
    try:
        living = [
            (other.pid, start_time(other.pid)),
            pid_in(other_told),
            (unmarked.pid, start_time(unmarked.pid)),
        ]
        reused = {pid: (started or 0.0) - 60 for pid, started in living}
        ended = end_marked(f"{session}:", grace_s=0.3, known=reused)
        assert mine.pid in ended
        assert not {pid for pid, _ in living} & set(ended)
        assert all(lives(pid, started or 0.0) for pid, started in living)
    finally:
        unmarked.kill()
        unmarked.wait()


def test_a_number_that_means_another_process_now_gets_no_signal() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        started = start_time(process.pid) or 0.0
        assert not signal_process(process.pid, started - 60, signal.SIGKILL)
        end_group(process.pid, started - 60)
        assert lives(process.pid, started)
        assert signal_process(process.pid, started, signal.SIGKILL)
        assert process.wait(5) == -signal.SIGKILL
    assert not signal_process(process.pid, started, signal.SIGKILL)


def test_a_check_leaves_no_process_of_its_group(tmp_path: Path) -> None:
    line = "sh -c 'sleep 120 & echo $! >left'"
    env = {"PATH": os.environ["PATH"]}
    run_watched(["sh", "-c", line], timeout_s=30, cwd=tmp_path, env=env, mark=f"{new_id()}:", keep_bytes=10)
    assert start_time(int((tmp_path / "left").read_text())) is None
