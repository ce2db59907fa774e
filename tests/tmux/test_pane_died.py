"""A pane that dies is told to the supervisor's spool at once; the supervisor's own comes back."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from agentorchestr import shim
from agentorchestr.clock import until
from agentorchestr.tmux import panes

from .conftest import SLEEPER

SHIM = Path(shim.__path__[0])
PYTHON = (sys.executable, "-I", "-S")
# tmux learns of the end by the terminal alone: the process lives on, without it.
LOSES_ITS_TERMINAL = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
for fd in (0, 1, 2):
    os.close(fd)
time.sleep(600)
"""


@pytest.fixture
def spool(tmp_path):
    # The path goes through a shell of tmux's, so it holds what a shell would act on.
    folder = tmp_path / "it's a $HOME `spool` #{x} %H ;"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(server, session, spool):
    server.on_pane_died(session, [*PYTHON, str(SHIM / "pane_died.py"), str(spool)])
    return session


@pytest.mark.parametrize("code", [0, 3])
def test_a_pane_that_ends_by_itself_is_in_the_spool_within_two_seconds(
    server, watched, spool, tmp_path, code
):
    argv = (*PYTHON, "-c", f"import sys; sys.exit({code})")
    pane_id = open_worker(server, tmp_path, argv=argv)
    assert until(lambda: told(server, spool) == [pane_id], within_s=2)
    (event,) = events(spool)
    assert event["died"] is True
    assert abs(event["at"] - time.time()) < 2


def test_a_process_that_only_lost_its_terminal_is_dead_without_a_status(server, watched, spool, tmp_path):
    pane_id = open_worker(server, tmp_path, argv=(*PYTHON, "-c", LOSES_ITS_TERMINAL))
    assert until(lambda: row_of(server, pane_id).dead, within_s=5)
    row = row_of(server, pane_id)
    assert row.dead_status is None
    os.kill(row.pid, signal.SIGKILL)
    assert until(lambda: told(server, spool) == [pane_id], within_s=2)


def test_panes_killed_with_the_zombies_they_leave_are_in_the_spool_within_two_seconds(
    server, watched, spool, tmp_path
):
    # tmux 3.3a misses the end of about every sixth.
    workers = [open_worker(server, tmp_path, lead=n == 0) for n in range(15)]
    for n, pane_id in enumerate(workers):
        os.kill(row_of(server, pane_id).pid, signal.SIGKILL)
        assert until(lambda most=n + 1: len(told(server, spool)) == most, within_s=2), row_of(server, pane_id)
    assert told(server, spool) == workers


def test_a_program_that_cannot_even_start_is_in_the_spool(server, watched, spool, tmp_path):
    pane_id = open_worker(server, tmp_path, argv=("/nonexistent/agent", "x"))
    assert until(lambda: told(server, spool) == [pane_id], within_s=2)


def test_a_pane_closed_by_us_is_no_death(server, watched, spool, tmp_path):
    closed = open_worker(server, tmp_path)
    panes.close_pane(server, closed)
    killed = open_worker(server, tmp_path)
    os.kill(row_of(server, killed).pid, signal.SIGKILL)
    assert until(lambda: told(server, spool) != [], within_s=2)
    assert [event["pane_id"] for event in events(spool)] == [killed]


def test_each_session_has_its_own_spool(server, watched, spool, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    pane_id = server.new_session("s2", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    server.on_pane_died("s2", [*PYTHON, str(SHIM / "pane_died.py"), str(other)])
    os.kill(row_of(server, pane_id).pid, signal.SIGKILL)
    assert until(lambda: told(server, other) == [pane_id], within_s=2)
    assert events(spool) == []


def test_an_account_without_a_login_shell_is_told_too(server, session, spool, tmp_path):
    server.run("set-option", "-g", "default-shell", shutil.which("false"))
    server.on_pane_died(session, [*PYTHON, str(SHIM / "pane_died.py"), str(spool)])
    pane_id = open_worker(server, tmp_path)
    os.kill(row_of(server, pane_id).pid, signal.SIGKILL)
    assert until(lambda: told(server, spool) == [pane_id], within_s=2)


def test_a_hook_of_the_persons_own_still_runs(server, private_home, spool, tmp_path):
    Path(private_home["HOME"], ".tmux.conf").write_text("set-hook -g pane-died 'set-option -g @theirs ran'\n")
    server.new_session("s1", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    server.on_pane_died("s1", [*PYTHON, str(SHIM / "pane_died.py"), str(spool)])
    pane_id = open_worker(server, tmp_path)
    os.kill(row_of(server, pane_id).pid, signal.SIGKILL)
    assert until(lambda: told(server, spool) != [], within_s=2)
    assert server.run("show-options", "-gv", "@theirs") == ["ran"]


def test_the_supervisors_pane_comes_back_until_it_loops(server, watched, spool, tmp_path):
    run_dir = guard(server, tmp_path, most=3)
    for _ in range(3):
        pid = kill(server)
        # Each restart waits longer than the one before.
        assert until(lambda old=pid: is_back(server, old), within_s=6)
    kill(server)
    assert until(lambda: panes.list_panes(server) and (run_dir / "crash-loop").exists(), within_s=2)
    assert json.loads((run_dir / "crash-loop").read_text())["restarts"] == 3
    assert row_of(server, "%0").dead
    assert restarts(run_dir) == 3
    # The supervisor's pane has a hook of its own, the workers keep theirs.
    pane_id = open_worker(server, tmp_path)
    os.kill(row_of(server, pane_id).pid, signal.SIGKILL)
    assert until(lambda: told(server, spool) == [pane_id], within_s=2)
    assert row_of(server, pane_id).dead


def test_the_supervisors_pane_comes_back_though_nobody_looks(server, tmp_path):
    script = "import os,time; print(os.getpid(), flush=True); time.sleep(600)"
    argv = (*PYTHON, str(SHIM / "sentinel.py"), *PYTHON, "-c", script)
    server.new_session("s1", window="supervisor", argv=argv, cwd=tmp_path)
    run_dir = guard(server, tmp_path, most=50)
    # Not list_panes: it would do what the sentinel is for.
    seen = {0}
    for n in range(12):
        assert until(lambda: last_number(server) not in seen, within_s=5), panes.capture(server, "%0")
        seen.add(last_number(server))
        os.kill(last_number(server), signal.SIGKILL)
        assert until(lambda: restarts(run_dir) == 1, within_s=2), f"dead after {n} restarts"
        (run_dir / "restarts").unlink()  # so that the next one does not wait


def test_restarts_long_ago_do_not_count(server, session, tmp_path):
    run_dir = guard(server, tmp_path, most=1)
    (run_dir / "restarts").write_text(f"{time.time() - 61}\nnonsense\n")
    pid = kill(server)
    assert until(lambda: is_back(server, pid), within_s=2)


def test_a_supervisor_that_has_finished_stays_down(server, session, tmp_path):
    run_dir = guard(server, tmp_path, most=3)
    (run_dir / "finished").touch()
    kill(server)
    server.on_pane_died(session, [*PYTHON, str(SHIM / "pane_died.py"), str(tmp_path)])
    witness = open_worker(server, tmp_path)
    os.kill(row_of(server, witness).pid, signal.SIGKILL)
    assert until(lambda: told(server, tmp_path) != [], within_s=2)
    assert row_of(server, "%0").dead
    assert not (run_dir / "restarts").exists()


def guard(server, tmp_path, *, most):
    """Put the supervisor's pane of session s1 under revive.py, with a limit of *most* in a minute."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    words = [str(run_dir), shutil.which("tmux"), str(server.socket), "%0", str(most), "60"]
    server.on_pane_died("s1", [*PYTHON, str(SHIM / "revive.py"), *words], pane_id="%0")
    return run_dir


def last_number(server):
    """The pid that the newest program in the supervisor's pane printed, 0 before any did."""
    return next((int(line) for line in reversed(panes.capture(server, "%0")) if line.isdecimal()), 0)


def restarts(run_dir):
    return len((run_dir / "restarts").read_text().splitlines()) if (run_dir / "restarts").exists() else 0


def kill(server):
    pid = row_of(server, "%0").pid
    os.kill(pid, signal.SIGKILL)
    return pid


def is_back(server, old_pid):
    row = row_of(server, "%0")
    return not row.dead and row.pid != old_pid


def open_worker(server, cwd, *, argv=SLEEPER, lead=False):
    return panes.open_pane(server, "s1", window="team", title="w", argv=argv, cwd=cwd, lead=lead)


def told(server, spool):
    """The panes in the spool, oldest first, after a look at tmux as the supervisor takes one per tick."""
    panes.list_panes(server)
    return [event["pane_id"] for event in events(spool)]


def row_of(server, pane_id):
    return next(row for row in panes.list_panes(server) if row.pane_id == pane_id)


def events(spool):
    return [json.loads(path.read_text()) for path in sorted(spool.glob("*.json"))]
