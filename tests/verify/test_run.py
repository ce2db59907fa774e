import os
import sys
import time
from pathlib import Path

import psutil

from agentorchestr.clock import until
from agentorchestr.model.states import CheckOutcome
from agentorchestr.model.verdict import CheckCommand, CheckRun
from agentorchestr.verify.detect import checks_from_option
from agentorchestr.verify.outcome import outcome_of
from agentorchestr.verify.run import TAIL_BYTES, check_environment, run_checks


def run_line(line: str, cwd: Path, *, timeout_s: float = 20.0, **env: str) -> CheckRun:
    (run,) = run_checks(
        checks_from_option(line), cwd=cwd, env={"PATH": os.environ["PATH"], **env}, timeout_s=timeout_s
    )
    return run


def detected(kind: str, *argv: str) -> CheckCommand:
    return CheckCommand(argv, f"detected: {kind}", " ".join(argv))


def test_a_red_check_does_not_stop_the_next(tmp_path: Path) -> None:
    runs = run_checks(
        [*checks_from_option("echo one; exit 3"), *checks_from_option("echo two")],
        cwd=tmp_path,
        env=dict(os.environ),
        timeout_s=20,
    )
    assert [(run.exit_code, run.tail) for run in runs] == [(3, "one\n"), (0, "two\n")]
    assert outcome_of(runs) is CheckOutcome.RED


def test_a_check_runs_in_the_given_folder_with_no_token_of_ours(tmp_path: Path) -> None:
    run = run_line("pwd; env", tmp_path, AGENTORCHESTR_TOKEN="secret", HOME="/home/x", TMUX="/x,1,0")
    assert run.tail.splitlines()[0] == str(tmp_path)
    assert "HOME=/home/x" in run.tail
    assert "secret" not in run.tail
    assert "TMUX=" not in run.tail


def test_the_time_limit_ends_the_whole_tree_at_once(tmp_path: Path) -> None:
    escape = (
        f"{sys.executable} -c 'import os,time; os.setsid(); print(os.getpid(), flush=True); time.sleep(60)'"
    )
    started = time.monotonic()
    run = run_line(f"{escape} & echo waits; sleep 60", tmp_path, timeout_s=1.0)
    assert run.timed_out
    assert time.monotonic() - started < 10
    pid = next(int(word) for word in run.tail.split() if word.isdigit())
    assert until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", within_s=5)
    assert outcome_of([run]) is CheckOutcome.RED


def test_a_leftover_that_holds_the_output_open_does_not_delay_the_answer(tmp_path: Path) -> None:
    started = time.monotonic()
    run = run_line("sleep 60 & echo done", tmp_path)
    assert (run.exit_code, run.tail) == (0, "done\n")
    assert time.monotonic() - started < 10


def test_an_endless_output_is_kept_to_its_end(tmp_path: Path) -> None:
    run = run_line("yes abcdefg | head -n 300000; echo the end", tmp_path)
    assert run.tail.endswith("the end\n")
    assert len(run.tail.encode()) == TAIL_BYTES


def test_output_that_is_not_utf8_is_safe_and_bounded(tmp_path: Path) -> None:
    run = run_line(
        r"i=0; while [ $i -lt 9 ]; do head -c 1000 /dev/zero | tr '\0' '\377'; i=$((i+1)); done; echo; echo ok",
        tmp_path,
    )
    assert run.tail.endswith("\nok\n")
    assert len(run.tail.encode()) <= TAIL_BYTES


def test_a_closed_output_does_not_end_the_wait(tmp_path: Path) -> None:
    run = run_line("exec >&- 2>&-; sleep 0.3; exit 7", tmp_path)
    assert run.exit_code == 7
    assert run.took_s >= 0.3


def test_a_missing_program_is_an_error_not_a_red(tmp_path: Path) -> None:
    missing = detected("cargo", "no-such-program-here", "test")
    runs = run_checks([missing], cwd=tmp_path, env=dict(os.environ), timeout_s=5)
    assert runs[0].exit_code == 127
    assert "no-such-program-here" in runs[0].tail
    assert outcome_of(runs) is CheckOutcome.ERROR
    assert outcome_of([run_line("no-such-program-here", tmp_path)]) is CheckOutcome.ERROR


def test_a_python_without_pytest_is_an_error(tmp_path: Path) -> None:
    run = run_line("echo '/usr/bin/python3: No module named pytest'; exit 1", tmp_path)
    assert outcome_of([run]) is CheckOutcome.ERROR


def test_pytest_is_run_for_real_and_its_counts_are_read(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_a():\n    pass\n\n\ndef test_b():\n    assert 0\n")
    check = detected("pytest", sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    runs = run_checks([check], cwd=tmp_path, env=dict(os.environ), timeout_s=60)
    assert (runs[0].exit_code, runs[0].counts) == (1, "1 failed, 1 passed")
    assert outcome_of(runs) is CheckOutcome.RED


def test_pytest_that_ran_no_test_is_not_green(tmp_path: Path) -> None:
    check = detected("pytest", sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    runs = run_checks([check], cwd=tmp_path, env=dict(os.environ), timeout_s=60)
    assert runs[0].counts == "no tests ran"
    assert outcome_of(runs) is CheckOutcome.NO_CHECKS


def test_unittest_that_ran_no_test_is_not_green(tmp_path: Path) -> None:
    check = detected("unittest", sys.executable, "-m", "unittest", "discover")
    runs = run_checks([check], cwd=tmp_path, env=dict(os.environ), timeout_s=60)
    assert outcome_of(runs) is CheckOutcome.NO_CHECKS


def test_no_test_beside_tests_that_ran_is_red() -> None:
    some = CheckRun("a", 0, 1.0, "3 passed", "")
    none = CheckRun("b", 5, 1.0, "no tests ran", "")
    assert outcome_of([some]) is CheckOutcome.GREEN
    assert outcome_of([some, none]) is CheckOutcome.RED
    assert outcome_of([]) is CheckOutcome.NO_CHECKS


def test_a_detected_python_check_sees_the_tree_under_test_first(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    env = check_environment({"PYTHONPATH": "/elsewhere"}, command=detected("pytest", "python3"), cwd=tmp_path)
    assert env["PYTHONPATH"] == f"{tmp_path / 'src'}:{tmp_path}"


def test_the_environment_of_the_worktree_is_preferred(tmp_path: Path) -> None:
    person, worktree = tmp_path / "person/.venv/bin", tmp_path / "worktree/.venv/bin"
    for folder, word in ((person, "person"), (worktree, "worktree")):
        folder.mkdir(parents=True)
        (folder / "python").write_text(f"#!/bin/sh\necho {word}\n")
        (folder / "python").chmod(0o755)
    check = detected("pytest", str(person / "python"))
    env = dict(os.environ)
    (run,) = run_checks([check], cwd=tmp_path / "worktree", env=env, timeout_s=5)
    assert run.tail == "worktree\n"
    (run,) = run_checks([check], cwd=tmp_path, env=env, timeout_s=5)
    assert run.tail == "person\n"
