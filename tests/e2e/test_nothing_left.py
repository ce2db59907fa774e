"""Whatever is ended at whatever moment: no program, worktree or secret of ours stays behind."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.model.states import LEAD, Outcome
from agentorchestr.model.view import SessionView
from agentorchestr.process import marked
from agentorchestr.tmux.server import TmuxServer
from tests.conftest import git
from tests.e2e.conftest import Product
from tests.e2e.test_sessions import GOAL, Scenario, only_view, path_without_tmux, tasks, wait_for

CHECKED = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice", "--checks")
HANGS = "sleep 600"


def checks_run(product: Product) -> bool:
    return any(marked(f"{session_id}:checks") for session_id in product.sessions())


def assert_no_worktree(product: Product, repo: Path) -> None:
    assert git(repo, "worktree", "list").count("\n") == 0
    assert not list((product.paths.state / "worktrees").glob("*/*"))


def test_stop_ends_checks_that_hang(product: Product, repo: Path, scenario: Scenario) -> None:
    env = {"AGENTORCHESTR_PRACTICE_SCENARIO": scenario(tasks(1))}
    process = product.start(*CHECKED, HANGS, "--checks", HANGS, cwd=repo, **env)
    assert until(lambda: checks_run(product), within_s=30, every_s=0.1)
    assert product.run("stop", cwd=repo).returncode == 0
    process.communicate(timeout=30)
    product.assert_nothing_left()
    assert_no_worktree(product, repo)


def test_a_check_of_a_killed_supervisor_does_not_go_on(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    done = repo.parent / "once"
    once = f"test -f '{done}' || {{ touch '{done}'; {HANGS}; }}"
    env = {"AGENTORCHESTR_PRACTICE_SCENARIO": scenario(tasks(1))}
    process = product.start(*CHECKED, once, cwd=repo, **env)
    assert until(done.exists, within_s=30, every_s=0.1)
    os.kill(only_view(product).supervisor_pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    product.assert_nothing_left()
    assert_no_worktree(product, repo)


def test_stop_ends_a_set_up_that_hangs(product: Product, repo: Path, scenario: Scenario) -> None:
    settings = repo / ".agentorchestr/config.toml"
    settings.parent.mkdir()
    settings.write_text(f'[worktree]\nsetup = ["{HANGS}", "{HANGS}"]\n')
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "settings")
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(tasks(1)))

    def set_up_runs() -> bool:
        return any(marked(f"{session_id}:lead:setup") for session_id in product.sessions())

    assert until(set_up_runs, within_s=30, every_s=0.1)
    assert product.run("stop", cwd=repo).returncode == 0
    process.communicate(timeout=30)
    product.assert_nothing_left()
    assert_no_worktree(product, repo)


def started_and_hanging(
    product: Product, repo: Path, scenario: Scenario
) -> tuple[SessionView, Callable[[], tuple[int, str]]]:
    hangs = tasks(1).replace('{ do = "commit"', '{ do = "hang" },\n  { do = "commit"')
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(hangs))

    def end() -> tuple[int, str]:
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    view = wait_for(
        product, lambda v: len(v.team) == 1 and (Path(v.team[0].worktree) / "made/00.txt").is_file()
    )
    return view, end


def test_without_a_tmux_server_the_session_pauses_and_stop_saves_the_work(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    view, end = started_and_hanging(product, repo, scenario)
    (pid,) = TmuxServer(product.paths.tmux_socket).run("display-message", "-p", "#{pid}")
    os.kill(int(pid), signal.SIGKILL)
    code, said = end()
    assert code == Outcome.PAUSED.exit_code, said
    assert f"agentorchestr --resume {view.session_id}" in said
    assert (Path(view.team[0].worktree) / "made/00.txt").read_text() == "0", "the tree is as it was"
    product.assert_nothing_left()
    stopped = product.run("stop", cwd=repo)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert git(repo, "show", f"{view.team[0].branch}:made/00.txt") == "0"
    assert_no_worktree(product, repo)


@pytest.mark.parametrize("rebooted", [False, True])
def test_stop_without_a_supervisor_keeps_the_work_and_no_secret(
    product: Product, repo: Path, scenario: Scenario, *, rebooted: bool
) -> None:
    view, end = started_and_hanging(product, repo, scenario)
    run = product.paths.session_run(view.session_id)
    (run / "finished").touch()  # so that tmux does not start another
    os.kill(view.supervisor_pid, signal.SIGKILL)
    if rebooted:
        run.rename(repo.parent / "gone")
    stopped = product.run("stop", cwd=repo)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    end()
    assert [path.name for path in run.iterdir()] == ["finished"]
    assert git(repo, "show", f"{view.team[0].branch}:made/00.txt") == "0"
    product.assert_nothing_left()
    assert_no_worktree(product, repo)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_a_manual_child_and_keeps_its_work(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path, *, ending: signal.Signals
) -> None:
    hangs = tasks(1).replace('{ do = "commit"', '{ do = "hang" },\n  { do = "commit"')
    env = {"AGENTORCHESTR_PRACTICE_SCENARIO": scenario(hangs), "PATH": str(path_without_tmux(tmp_path))}
    words = ("--manual", "--task", "make file 00", "--agents", "practice", "--trust", "--no-attach")
    process = product.start(*words, cwd=repo, **env)
    view = wait_for(
        product, lambda v: len(v.team) == 1 and (Path(v.team[0].worktree) / "made/00.txt").is_file()
    )
    process.send_signal(ending)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == Outcome.CANCELLED.exit_code, said
    assert git(repo, "show", f"{view.team[0].branch}:made/00.txt") == "0"
    assert not list(product.paths.session_run(view.session_id).glob("*"))
    product.assert_nothing_left()
    assert_no_worktree(product, repo)


def test_a_lead_that_always_dies_ends_the_session_with_its_last_words(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    path = scenario("this is no scenario")
    done = product.run(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=path)
    assert done.returncode == Outcome.FAILED.exit_code, done.stdout + done.stderr
    view = only_view(product)
    assert view.workers[LEAD].exit_status == 1
    assert "is not UTF-8 TOML" in view.goal_summary
    assert "\n" not in view.goal_summary
    product.assert_nothing_left()
