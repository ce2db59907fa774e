"""What surrounds a resume: a pause, two at once, a taken port, a lost tree, a supervisor that falls for ever."""

import os
import shutil
import signal
import socket
import time
from pathlib import Path

from agentorchestr.clock import until
from agentorchestr.model.states import LEAD, Outcome
from agentorchestr.model.view import SessionView
from tests.conftest import git
from tests.e2e.conftest import Product
from tests.e2e.test_resume import all_hold, held, kill_everything, kill_supervisor
from tests.e2e.test_sessions import GOAL, Scenario, only_view, wait_for


def started(product: Product, repo: Path, env: dict[str, str]) -> SessionView:
    """A session whose workers stand at the gate; the command that started it is gone."""
    command = product.start(*GOAL, cwd=repo, **env)
    view = wait_for(product, all_hold)
    command.kill()
    command.communicate()
    return view


def scene(scenario: Scenario, gate: Path) -> dict[str, str]:
    return {"AGENTORCHESTR_PRACTICE_SCENARIO": scenario(held(gate))}


def assert_done(product: Product, repo: Path, view: SessionView) -> None:
    assert view.outcome is Outcome.DONE
    assert [worker.merged for worker in view.team] == [True, True]
    made = git(repo, "ls-tree", "-r", "--name-only", view.integration_branch, "made").split()
    assert made == ["made/00.txt", "made/01.txt"]
    product.assert_nothing_left()


def test_ctrl_c_pauses_and_resume_goes_on_where_everybody_was(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    env = scene(scenario, tmp_path / "gate")
    command = product.start(*GOAL, cwd=repo, **env)
    view = wait_for(product, all_hold)
    command.send_signal(signal.SIGINT)
    said, _ = command.communicate(timeout=60)
    assert command.returncode == Outcome.PAUSED.exit_code, said
    assert f"agentorchestr --resume {view.session_id}" in said
    product.assert_nothing_left()
    for number, worker in enumerate(view.team):
        assert (Path(worker.worktree) / f"made/{number:02}.txt").is_file(), "its tree is as it was"
    (listed,) = product.json("sessions", cwd=repo)
    assert (listed["state"], listed["resumable"]) == ("paused", True)
    kept = product.paths.session(view.session_id) / "secret"
    assert kept.is_file()
    assert [path.name for path in product.paths.session_run(view.session_id).iterdir()] == ["finished"]

    (tmp_path / "gate").touch()
    done = product.run("--resume", "--no-attach", cwd=repo, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    after = only_view(product)
    assert_done(product, repo, after)
    before = {worker.worker_id: worker.agent_session for worker in view.workers.values()}
    now = {worker.worker_id: worker.agent_session for worker in after.workers.values()}
    assert now == before, "each in its own conversation"
    again = product.run("--resume", view.session_id, cwd=repo)
    assert again.returncode == 1
    assert "its goal is done" in again.stderr
    assert until(lambda: not kept.exists(), within_s=10)


def test_a_paused_session_can_be_stopped_and_keeps_its_work(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    view = started(product, repo, scene(scenario, tmp_path / "gate"))
    paused = product.run("pause", cwd=repo)
    assert paused.returncode == 0, paused.stdout + paused.stderr
    assert only_view(product).outcome is Outcome.PAUSED
    stopped = product.run("stop", cwd=repo)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    after = only_view(product)
    assert after.outcome is Outcome.CANCELLED
    assert git(repo, "show", f"{view.team[0].branch}:made/00.txt") == "0"
    assert git(repo, "worktree", "list").count("\n") == 0
    assert not (product.paths.session(view.session_id) / "secret").exists()


def test_of_two_resumes_at_once_one_does_it_and_both_follow(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    env = scene(scenario, tmp_path / "gate")
    kill_everything(product, started(product, repo, env))
    (tmp_path / "gate").touch()
    both = [product.start("--resume", "--no-attach", cwd=repo, **env) for _ in range(2)]
    said = [command.communicate(timeout=120)[0] for command in both]
    assert [command.returncode for command in both] == [0, 0], said
    assert sum("goes on" in text for text in said) == 1, said
    assert sum("following it" in text for text in said) == 1, said
    after = only_view(product)
    assert_done(product, repo, after)
    assert {worker.revived for worker in after.workers.values()} == {1}, "nobody was started twice"


def takes(stranger: socket.socket, port: int) -> bool:
    """Whether the stranger listens there now; a program the supervisor just forked may hold it for a moment."""
    try:
        stranger.bind(("127.0.0.1", port))
    except OSError:
        return False
    stranger.listen()
    return True


def test_living_agents_move_along_when_a_stranger_has_the_port(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    env = scene(scenario, tmp_path / "gate")
    view = started(product, repo, env)
    run = product.paths.session_run(view.session_id)
    (run / "finished").touch()  # so that tmux does not bring it back, however late it looks
    kill_supervisor(product, view)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        assert until(lambda: takes(stranger, view.port), within_s=20), "the dead supervisor's port is free"
        (tmp_path / "gate").touch()
        done = product.run("--resume", "--no-attach", cwd=repo, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "new address" in done.stdout, "it is said"
    after = only_view(product)
    assert after.port != view.port
    assert_done(product, repo, after)
    assert after.workers[LEAD].agent_session == view.workers[LEAD].agent_session


def test_a_worktree_that_is_gone_is_made_again_from_what_was_saved(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    env = scene(scenario, tmp_path / "gate")
    view = started(product, repo, env)
    assert product.run("pause", cwd=repo).returncode == 0
    gone, damaged = (Path(worker.worktree) for worker in view.team)
    shutil.rmtree(gone)
    (damaged / ".git").write_text("gitdir: /nowhere\n")
    (tmp_path / "gate").touch()
    done = product.run("--resume", "--no-attach", cwd=repo, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the worktree was gone: it was made anew from its branch" in done.stdout
    assert (damaged.with_name(f"{damaged.name}.damaged-1") / "made/01.txt").read_text() == "1"
    assert_done(product, repo, only_view(product))


def test_a_project_that_moved_is_a_clear_error(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    env = scene(scenario, tmp_path / "gate")
    view = started(product, repo, env)
    kill_everything(product, view)
    moved = repo.rename(repo.with_name("elsewhere"))
    refused = product.run("--resume", view.session_id, "--no-attach", cwd=moved, **env)
    assert refused.returncode == 1
    assert f"its project is gone: {repo}" in refused.stderr
    (listed,) = product.json("sessions", cwd=moved)
    assert (listed["resumable"], listed["resume_why"]) == (False, f"its project is gone: {repo}")
    moved.rename(repo)
    (tmp_path / "gate").touch()
    done = product.run("--resume", "--no-attach", cwd=repo, **env)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_supervisor_that_falls_for_ever_leaves_no_agent_at_work(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    env = scene(scenario, tmp_path / "gate")
    view = started(product, repo, env)
    # As after five restarts: the next fall is one too many.
    restarts = product.paths.session_run(view.session_id) / "restarts"
    restarts.write_text(f"{time.time()!r}\n" * 5)
    os.kill(view.supervisor_pid, signal.SIGKILL)
    wait_for(product, lambda v: v.outcome is Outcome.PAUSED)
    product.assert_nothing_left()
    (listed,) = product.json("sessions", cwd=repo)
    assert listed["resumable"]
    assert "gave up after 5 restarts" in listed["resume_why"]
    (tmp_path / "gate").touch()
    done = product.run("--resume", "--no-attach", cwd=repo, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_done(product, repo, only_view(product))
