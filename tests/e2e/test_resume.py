"""Whatever dies, ``--resume`` comes to the accepted result, with no task lost and none done twice."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agentorchestr.clock import until
from agentorchestr.model.states import LEAD, Outcome
from agentorchestr.model.view import SessionView
from agentorchestr.mqtt.broker import broker_folder, read_record
from agentorchestr.process import end_marked, lives, marked
from agentorchestr.tmux.server import TmuxServer
from tests.conftest import git
from tests.e2e.conftest import Product
from tests.e2e.test_sessions import GOAL, Scenario, only_view, tasks, wait_for

TEAM = 2
FILES = ["made/00.txt", "made/01.txt"]


def held(gate: Path) -> str:
    """Two workers that write their file, then wait for *gate* before they commit it."""
    wait = f'{{ do = "shell", argv = ["sh", "-c", "until [ -e {gate} ]; do sleep 0.1; done"], seconds = 120.0 }},'
    return tasks(TEAM).replace('{ do = "commit"', f'{wait}\n  {{ do = "commit"')


def all_hold(view: SessionView) -> bool:
    """Whether every worker has written its file and stands at the gate."""
    made = [Path(worker.worktree) / f"made/{n:02}.txt" for n, worker in enumerate(view.team)]
    return (
        len(view.team) == TEAM and all(w.in_turn for w in view.team) and all(path.is_file() for path in made)
    )


def kill(pid: int) -> None:
    """End it at once, and wait until it is gone."""
    if psutil.pid_exists(pid):
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: not lives(pid, _started(pid)), within_s=10)


def _started(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        return -1.0 if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return -1.0


def kill_worker(product: Product, view: SessionView) -> None:
    kill(view.team[0].pid)


def kill_lead(product: Product, view: SessionView) -> None:
    kill(view.workers[LEAD].pid)


def kill_supervisor(product: Product, view: SessionView) -> None:
    kill(view.supervisor_pid)


def kill_tmux(product: Product, view: SessionView) -> None:
    (pid,) = TmuxServer(product.paths.tmux_socket).run("display-message", "-p", "#{pid}")
    kill(int(pid))


def kill_broker(product: Product, view: SessionView) -> None:
    record = read_record(broker_folder(product.paths))
    if record is not None:
        kill(record.pid)


def kill_everything(product: Product, view: SessionView) -> None:
    """The machine goes down: no process is left, and no run folder."""
    kill_tmux(product, view)
    kill_broker(product, view)
    kill(view.supervisor_pid)
    # More than once: a shell may start its next program in between.
    assert until(lambda: not end_marked(view.session_id, grace_s=0.1), within_s=10)
    assert marked(view.session_id) == []
    shutil.rmtree(product.paths.run)


KILLS: dict[str, Callable[[Product, SessionView], None]] = {
    "worker": kill_worker,
    "lead": kill_lead,
    "supervisor": kill_supervisor,
    "tmux server": kill_tmux,
    "broker": kill_broker,
    "all": kill_everything,
}


@pytest.mark.parametrize("what", KILLS)
def test_whatever_is_killed_the_result_is_the_same(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path, what: str
) -> None:
    gate = tmp_path / "gate"
    env = {"AGENTORCHESTR_PRACTICE_SCENARIO": scenario(held(gate))}
    command = product.start(*GOAL, cwd=repo, **env)
    view = wait_for(product, all_hold)
    command.send_signal(signal.SIGKILL)
    command.communicate()
    KILLS[what](product, view)
    gate.touch()
    done = product.run("--resume", "--no-attach", cwd=repo, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    after = only_view(product)
    assert after.outcome is Outcome.DONE
    assert [(worker.worker_id, worker.merged) for worker in after.team] == [("w1", True), ("w2", True)]
    tree = git(repo, "ls-tree", "-r", "--name-only", after.integration_branch).split()
    assert [name for name in tree if name.startswith("made/")] == FILES
    secret = product.paths.session(after.session_id) / "secret"
    assert until(lambda: not secret.exists(), within_s=10), "its keys went with it"
    product.assert_nothing_left()
