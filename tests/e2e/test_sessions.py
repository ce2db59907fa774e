"""Whole sessions on the practice agent: many workers, odd places, faults on the way."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.errors import JournalError
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import Journal
from agentorchestr.model.states import LEAD, Outcome, WorkerState
from agentorchestr.model.view import SessionView
from tests.conftest import git, make_repo
from tests.e2e.conftest import Product

Scenario = Callable[[str], str]
CHECK = "test -f README.md"
GOAL = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice", "--checks", CHECK)


def view_of(product: Product, session_id: str) -> SessionView:
    with Journal.open_read(product.paths.session(session_id)) as journal:
        return derive(journal.facts())


def only_view(product: Product) -> SessionView:
    (session_id,) = product.sessions()
    return view_of(product, session_id)


def wait_for(product: Product, holds: Callable[[SessionView], bool], *, within_s: float = 30) -> SessionView:
    def seen() -> bool:
        sessions = product.sessions()
        folder = product.paths.session(sessions[0]) if sessions else None
        if folder is None or not (folder / "journal.sqlite").is_file():
            return False
        try:
            return holds(view_of(product, folder.name))
        except JournalError:
            return False  # still being made

    assert until(seen, within_s=within_s, every_s=0.05)
    return only_view(product)


def tasks(number: int) -> str:
    listed = ",\n".join(f'{{ task = "make file {n:02}" }}' for n in range(number))
    workers = "".join(
        f"""
[[worker]]
match = "make file {n:02}"
turns = [{{ steps = [
  {{ do = "write", file = "made/{n:02}.txt", text = "{n}" }},
  {{ do = "commit", message = "file {n}" }},
  {{ do = "call", tool = "report_done", args = {{ summary = "made {n}" }} }},
] }}]
"""
        for n in range(number)
    )
    return f'[[lead]]\nmatch = "."\ntasks = [{listed}]\n{workers}'


def test_twelve_workers_at_once(product: Product, repo: Path, scenario: Scenario) -> None:
    path = scenario(tasks(12))
    done = product.run(*GOAL, "--max-workers", "12", cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=path)
    assert done.returncode == 0, done.stdout + done.stderr
    view = only_view(product)
    assert len(view.team) == 12
    assert all(worker.merged for worker in view.team)
    tree = git(repo, "ls-tree", "-r", "--name-only", view.integration_branch).split()
    assert len([name for name in tree if name.startswith("made/")]) == 12
    product.assert_nothing_left()


def test_two_sessions_at_once_in_one_project(product: Product, repo: Path, scenario: Scenario) -> None:
    path = scenario(tasks(2))
    both = [product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=path) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    views = [view_of(product, session_id) for session_id in product.sessions()]
    assert len({view.integration_branch for view in views}) == 2
    assert all(view.outcome is Outcome.DONE for view in views)
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "worktree", "list").count("\n") == 0


def test_an_odd_path_and_a_goal_full_of_metacharacters(product: Product, tmp_path: Path) -> None:
    project = make_repo(tmp_path / "a b'c\"d\nü $(x)", {"README.md": "x\n"})
    goal = "do `rm -rf $HOME`; $(touch /nope) \"q\" 'q' \\ #{pane_id} ```fence``` \x07é\n--flag\n%s ${X} !! & | > <"
    words = ("--goal", goal, "--no-attach", "--trust", "--agents", "practice", "--checks", CHECK)
    done = product.run(*words, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    view = only_view(product)
    assert view.created.goal == goal
    brief = (product.paths.session(view.session_id) / "briefs" / "lead.md").read_bytes()
    assert goal.encode() in brief
    assert view.workers["w1"].task == goal, "the lead read it from its brief, byte for byte"
    assert git(project, "worktree", "list").count(str(product.paths.state)) == 0


def test_a_project_may_be_a_folder_of_its_repository(product: Product, repo: Path) -> None:
    inner = repo / "src"
    words = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice", "--checks", "test -f app.py")
    done = product.run(*words, cwd=inner)
    assert done.returncode == 0, done.stdout + done.stderr
    assert only_view(product).outcome is Outcome.DONE


DIES_ALWAYS = """
[[lead]]
match = "."
tasks = [{ task = "fragile" }]
[[worker]]
match = "fragile"
turns = [{ steps = [
  { do = "write", file = "half.txt", text = "half" },
  { do = "shell", argv = ["sh", "-c", "kill -9 $PPID"] },
] }]
"""


def test_a_worker_that_dies_again_and_again_is_told_to_the_lead_once_and_its_work_is_kept(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    done = product.run(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(DIES_ALWAYS))
    assert done.returncode == Outcome.FAILED.exit_code, done.stdout + done.stderr
    view = only_view(product)
    first = view.workers["w1"]
    assert (first.deaths, first.revived) == (3, 2)
    assert "3 times" in first.quarantined
    assert [event.kind for event in view.events if event.worker_id == "w1"] == ["dead"]
    listed = product.run("workers", cwd=repo).stdout
    assert "w1 is not started again" in listed
    assert "kill -9 $PPID" in listed, "its last screen is shown"
    assert git(repo, "show", f"{view.workers['w1'].branch}:half.txt") == "half"
    product.assert_nothing_left()


def test_a_killed_supervisor_comes_back_and_ends_the_same(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    slow = tasks(2).replace('{ do = "commit"', '{ do = "sleep", seconds = 4 },\n  { do = "commit"')
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(slow))
    view = wait_for(product, lambda v: len(v.team) == 2 and all(w.prompt_taken for w in v.team))
    pids = {worker.worker_id: worker.pid for worker in view.workers.values()}
    os.kill(view.supervisor_pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    after = only_view(product)
    assert after.generation == 2
    assert {worker.worker_id: worker.pid for worker in after.workers.values()} == pids, (
        "nobody was started again"
    )
    assert all(worker.merged for worker in after.team)


def test_a_lead_that_dies_is_started_again_with_the_same_brief(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    slow = tasks(1).replace('{ do = "commit"', '{ do = "sleep", seconds = 5 },\n  { do = "commit"')
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(slow))
    view = wait_for(product, lambda v: len(v.team) == 1 and v.team[0].prompt_taken)
    os.kill(view.workers[LEAD].pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    after = only_view(product)
    assert after.workers[LEAD].pid != view.workers[LEAD].pid
    assert [worker.merged for worker in after.team] == [True], "no task was done twice"
    brief = (product.paths.session(after.session_id) / "briefs" / "lead.md").read_text()
    assert "You were cut off" in brief
    assert after.workers[LEAD].agent_session == view.workers[LEAD].agent_session, "in its own conversation"


def test_a_dead_pane_is_known_within_two_seconds(product: Product, repo: Path, scenario: Scenario) -> None:
    slow = tasks(1).replace('{ do = "commit"', '{ do = "hang" },\n  { do = "commit"')
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(slow))
    view = wait_for(product, lambda v: len(v.team) == 1 and v.team[0].state is WorkerState.WORKING)
    os.kill(view.team[0].pid, signal.SIGKILL)
    wait_for(product, lambda v: v.workers["w1"].deaths == 1, within_s=2)
    product.run("stop", view.session_id, cwd=repo)
    process.communicate(timeout=60)


def test_stop_cancels_and_loses_no_work(product: Product, repo: Path, scenario: Scenario) -> None:
    hangs = tasks(1).replace('{ do = "commit"', '{ do = "hang" },\n  { do = "commit"')
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(hangs))
    view = wait_for(product, lambda v: len(v.team) == 1 and v.team[0].state is WorkerState.WORKING)
    made = Path(view.team[0].worktree) / "made/00.txt"
    assert until(made.is_file, within_s=10)
    stopped = product.run("stop", view.session_id, cwd=repo)
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    said, _ = process.communicate(timeout=60)
    assert process.returncode == Outcome.CANCELLED.exit_code, said
    assert git(repo, "show", f"{view.team[0].branch}:made/00.txt") == "0"
    product.assert_nothing_left()


def test_the_time_limit_ends_a_session_as_failed(product: Product, repo: Path, scenario: Scenario) -> None:
    hangs = tasks(1).replace('{ do = "commit"', '{ do = "hang" },\n  { do = "commit"')
    path = scenario(hangs)
    done = product.run(*GOAL, "--timeout", "5s", cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=path)
    assert done.returncode == Outcome.FAILED.exit_code, done.stdout + done.stderr
    assert "time limit" in only_view(product).goal_summary


def test_without_checks_nothing_is_called_verified(product: Product, repo: Path, scenario: Scenario) -> None:
    words = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice")
    done = product.run(*words, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(tasks(1)))
    assert done.returncode == Outcome.UNVERIFIED.exit_code, done.stdout + done.stderr
    view = only_view(product)
    assert view.outcome is Outcome.UNVERIFIED
    assert view.unverified_reason


def test_an_idle_lead_is_woken_by_what_it_has_to_know(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    woken = tasks(2).replace('match = "."', 'match = "."\nstyle = "woken"')
    slow = woken.replace('{ do = "commit"', '{ do = "sleep", seconds = 2 },\n  { do = "commit"')
    done = product.run(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(slow))
    assert done.returncode == 0, done.stdout + done.stderr
    assert only_view(product).workers[LEAD].turns > 1


@pytest.mark.parametrize("with_tmux", [True, False])
def test_manual_runs_one_agent_on_one_task(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path, *, with_tmux: bool
) -> None:
    env = {"AGENTORCHESTR_PRACTICE_SCENARIO": scenario(tasks(1))}
    if not with_tmux:
        env["PATH"] = str(path_without_tmux(tmp_path))
    words = ("--manual", "--task", "make file 00", "--agents", "practice", "--trust", "--no-attach")
    done = product.run(*words, "--checks", CHECK, cwd=repo, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    view = only_view(product)
    assert view.created.manual
    assert git(repo, "show", f"{view.integration_branch}:made/00.txt") == "0"
    product.assert_nothing_left()


def path_without_tmux(folder: Path) -> Path:
    """A PATH folder with what git and the checks need, and no tmux."""
    tools = folder / "bin"
    tools.mkdir()
    for name in ("git", "sh", "python3", "test", "env", "uname", "sed", "cat", "rm", "mkdir"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=False).stdout.strip()
        if found:
            (tools / name).symlink_to(found)
    return tools


def test_what_git_does_not_carry_is_set_up_in_each_worktree_and_for_the_checks(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    (repo / ".agentorchestr").mkdir()
    (repo / ".agentorchestr/config.toml").write_text(
        'checks = ["test -f .env && test -d deps && test -f made-by-setup && test -n \\"$APP_PORT\\""]\n'
        '[worktree]\ncopy = [".env"]\nlink = ["deps"]\nsetup = ["touch made-by-setup"]\nports = ["APP_PORT"]\n'
    )
    (repo / ".gitignore").write_text(".env\ndeps\nmade-by-setup\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "settings")
    (repo / ".env").write_text("KEY=1\n")
    (repo / "deps").mkdir()
    words = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice")
    done = product.run(*words, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(tasks(2)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "touch made-by-setup" in done.stdout + done.stderr, "the person was shown what runs"


def test_a_repository_that_is_not_trusted_runs_nothing(product: Product, repo: Path) -> None:
    words = ("--goal", "go", "--no-attach", "--agents", "practice", "--checks", CHECK)
    done = product.run(*words, cwd=repo)
    assert done.returncode == 1
    assert "--trust" in done.stderr
    assert product.sessions() == []


TALK = """
[[lead]]
match = "."
tasks = [{ task = "speaker" }, { task = "listener" }]

[[worker]]
match = "speaker"
turns = [{ steps = [
  { do = "write", file = "said.txt", text = "said" },
  { do = "commit", message = "said" },
  { do = "shell", argv = ["sh", "-c", "until [ -f WAIT ]; do sleep 0.1; done"], seconds = 60.0 },
  { do = "call", tool = "send_message", args = { to = "w2", subject = "hand-over", body = "the port is 7" } },
  { do = "call", tool = "report_done", args = { summary = "told w2" } },
] }]

[[worker]]
match = "listener"
turns = [
  { steps = [{ do = "call", tool = "report_progress", args = { message = "waiting" } }, { do = "end_turn" }] },
  { on = "the port is 7", steps = [
    { do = "write", file = "heard.txt", text = "heard" },
    { do = "commit", message = "heard" },
    { do = "call", tool = "report_done", args = { summary = "heard it" } },
  ] },
]
"""


def test_one_worker_wakes_another_with_a_message(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    process = product.start(
        *GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(TALK.replace("WAIT", str(go)))
    )
    wait_for(product, lambda v: "w2" in v.workers and v.workers["w2"].state is WorkerState.IDLE)
    go.write_text("go")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    view = only_view(product)
    assert all(worker.merged for worker in view.team)
    (message,) = [m for m in view.messages.values() if m.sender == "w1"]
    assert message.read_at is not None


CHEAT = """
[[lead]]
match = "."
tasks = [{ task = "cheat" }]
[[worker]]
match = "cheat"
turns = [{ steps = [
  { do = "write", file = "src/app.py", text = "VALUE = broken" },
  { do = "write", file = "Makefile", text = "test:\\n\\ttrue\\n" },
  { do = "commit", message = "all green now" },
  { do = "call", tool = "report_done", args = { summary = "all tests pass" } },
] }]
"""


def test_a_worker_cannot_quietly_change_how_the_tests_run(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    (repo / "Makefile").write_text("test:\n\tpython3 src/app.py\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "checks")
    words = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice")
    done = product.run(*words, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(CHEAT))
    assert done.returncode == Outcome.FAILED.exit_code, done.stdout + done.stderr
    view = only_view(product)
    assert view.created.checks[0].shown == "make test"
    assert {attempt.altered_tests for attempt in view.merges} == {("Makefile",)}
    assert git(repo, "rev-parse", view.integration_branch) == git(repo, "rev-parse", "main")
