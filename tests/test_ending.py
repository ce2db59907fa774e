"""Processes with our mark end soon, and one that tmux never reaps holds nothing up."""

import os
import signal
import subprocess
import sys
import time
import uuid

from agentorchestr.clock import until
from agentorchestr.process import MARK_VARIABLE, end_marked, marked, start_time

IGNORES = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
)

NEGLECTS = f"""
import subprocess, sys
child = subprocess.Popen(["sleep", "60"], env={{"{MARK_VARIABLE}": sys.argv[1], "PATH": "/usr/bin:/bin"}})
print(child.pid, flush=True)
sys.stdin.readline()
"""
"""A parent like tmux 3.3a: it never asks how its child ended."""


def started(code: str, mark: str) -> subprocess.Popen[bytes]:
    """A marked program that has come to its last statement."""
    child = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, MARK_VARIABLE: mark}, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def test_a_program_that_nobody_reaps_counts_as_ended() -> None:
    mark = f"test-{uuid.uuid4().hex}:"
    words = [sys.executable, "-c", NEGLECTS, mark]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert until(lambda: marked(mark) == [pid], within_s=5)
        begin = time.monotonic()
        assert end_marked(mark) == [pid]
        assert time.monotonic() - begin < 1.5
        assert start_time(pid) is None
        parent.communicate(b"over\n", timeout=5)


def test_a_program_that_ignores_sigterm_is_killed() -> None:
    mark = f"test-{uuid.uuid4().hex}:"
    child = started(IGNORES, mark)
    assert end_marked(mark, grace_s=0.3) == [child.pid]
    assert child.wait(5) == -signal.SIGKILL
    assert until(lambda: not marked(mark), within_s=2)
    child.stdout.close()  # type: ignore[union-attr]  # it was opened as a pipe
