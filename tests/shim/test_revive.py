"""A supervisor that keeps dying comes back more and more slowly, and not after its session ended."""

import runpy
import subprocess
import sys
import time
from pathlib import Path

from agentorchestr import shim
from agentorchestr.clock import until

REVIVE = Path(shim.__path__[0], "revive.py")


def test_each_restart_waits_twice_as_long_up_to_a_bound():
    pause_before = runpy.run_path(str(REVIVE))["pause_before"]
    assert [pause_before(number) for number in range(7)] == [0, 1, 2, 4, 8, 8, 8]


def revive(tmp_path, *, restarts):
    """Start it for a run folder with so many fresh restarts; a stand-in for tmux keeps what it was told."""
    (tmp_path / "restarts").write_text("".join(f"{time.time()!r}\n" for _ in range(restarts)))
    tmux = tmp_path / "tmux"
    tmux.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    tmux.chmod(0o700)
    words = [str(tmp_path), str(tmux), "socket", "%0", "5", "60", "%0"]
    return subprocess.Popen([sys.executable, "-I", "-S", str(REVIVE), *words])


def test_the_first_restart_is_at_once_and_a_later_one_waits(tmp_path):
    for restarts, at_least in ((0, 0.0), (2, 2.0)):
        begun = time.monotonic()
        assert revive(tmp_path, restarts=restarts).wait(timeout=20) == 0
        assert time.monotonic() - begun >= at_least
        assert (tmp_path / "asked").read_text() == "-S socket respawn-pane -t %0\n"
        (tmp_path / "asked").unlink()


def test_a_session_that_ends_during_the_wait_is_not_brought_back(tmp_path):
    child = revive(tmp_path, restarts=1)
    assert until(lambda: len((tmp_path / "restarts").read_text().splitlines()) == 2, within_s=5)
    (tmp_path / "finished").touch()
    assert child.wait(timeout=20) == 0
    assert not (tmp_path / "asked").exists()
