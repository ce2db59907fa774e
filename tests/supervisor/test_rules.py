"""Tokens, flags, manual sessions, endings: rules that need no process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.model import facts as f
from agentorchestr.model.states import CheckOutcome, MergeResult, Outcome, Report
from agentorchestr.model.verdict import MergeAttempt, Verdict
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.supervisor.desk import PrincipalKind
from agentorchestr.supervisor.finishing import ending
from agentorchestr.supervisor.flags import read_flag, read_sentinel, use_up_flag
from agentorchestr.supervisor.manual import judged, wants_merge
from agentorchestr.supervisor.principals import TokenBook
from agentorchestr.supervisor.spawner import next_worker_id, unfinished
from agentorchestr.supervisor.statusline import status_text

Build = Callable[..., SessionView]
FIRST = f.SessionCreated(
    "s1", "goal", "/p", "/p", "main", "c0", "", ("practice",), 2, (), 60.0, land=False, manual=True
)


def lives(worker_id: str) -> tuple[f.Fact, ...]:
    branch = f"agentorchestr/s1/{worker_id}"
    role = "lead" if worker_id == "lead" else "implementer"
    spawned = f.WorkerSpawned(worker_id, role, "practice", "task", (), "", "", branch, "/w", f"n-{worker_id}")
    return (spawned, f.PaneOpened(worker_id, "%1", 7, 1.0))


def merged(result: MergeResult, outcome: CheckOutcome = CheckOutcome.GREEN) -> f.MergeEnded:
    verdict = Verdict("v", "c", "t", outcome, (), 0.0, 1.0)
    return f.MergeEnded(MergeAttempt("m", "w1", result, verdict=verdict, why="why"))


DONE = f.WorkerReported("w1", Report.DONE, "ok", "tool")


def test_each_principal_has_a_token_of_its_own(tmp_path: Path, view_of: Build) -> None:
    view = view_of(*lives("lead"), *lives("w1"))
    book = TokenBook.create(tmp_path, "s1")
    for worker_id, kind in (("lead", PrincipalKind.LEAD), ("w1", PrincipalKind.WORKER)):
        owner = book.owner(book.token(worker_id, f"n-{worker_id}"), view, {"practice": 99.0})
        assert owner is not None
        assert (owner.worker_id, owner.kind, owner.wait_limit_s) == (worker_id, kind, 99.0)
    control = book.owner(book.control, view, {})
    assert control is not None
    assert control.kind is PrincipalKind.CONTROL


def test_unknown_stale_and_foreign_tokens_belong_to_nobody(tmp_path: Path, view_of: Build) -> None:
    book = TokenBook.create(tmp_path, "s1")
    token = book.token("w1", "n-w1")
    killed = view_of(*lives("w1"), f.WorkerKilled("w1", "lead"))
    for wrong, view in (
        ("", killed),
        ("x" * 43, view_of(*lives("w1"))),
        (token, killed),
        (token, view_of(*lives("w1"), f.PaneDied("w1", 1, ""))),
        (book.token("w1", "an older nonce"), view_of(*lives("w1"))),
        (TokenBook(b"another secret", "s1").token("w1", "n-w1"), view_of(*lives("w1"))),
        ("\udcff", view_of(*lives("w1"))),
    ):
        assert book.owner(wrong, view, {}) is None


def test_tokens_stay_valid_when_the_secret_is_loaded_again(tmp_path: Path) -> None:
    assert TokenBook.create(tmp_path, "s1").control == TokenBook.load(tmp_path, "s1").control


def worker(tmp_path: Path) -> WorkerView:
    (tmp_path / ".agentorchestr").mkdir()
    return WorkerView("w1", "r", "a", "t", "", "", (), "b", str(tmp_path), "nonce1", "", 0.0)


def test_a_flag_with_this_task_s_nonce_reports_once(tmp_path: Path) -> None:
    me = worker(tmp_path)
    flag = tmp_path / ".agentorchestr/done.flag"
    flag.write_text("Blocked nonce1\nno network\n")
    report = read_flag(me)
    assert report is not None
    assert (report.report, report.summary) == (Report.BLOCKED, "no network")
    assert read_flag(me) == report, "a crash before it is stored loses nothing"
    use_up_flag(me)
    assert read_flag(me) is None


@pytest.mark.parametrize(
    "text", ["done\nold", "done other\nx", "nonce1 done", "", "\xff\xfe", "finished nonce1"]
)
def test_a_flag_without_the_nonce_says_nothing(tmp_path: Path, text: str) -> None:
    me = worker(tmp_path)
    (tmp_path / ".agentorchestr/done.flag").write_bytes(text.encode("latin-1"))
    assert read_flag(me) is None


def test_a_flag_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    me = worker(tmp_path)
    (tmp_path / "secret").write_text("done nonce1\nprivate")
    (tmp_path / ".agentorchestr/done.flag").symlink_to(tmp_path / "secret")
    assert read_flag(me) is None


def test_a_sentinel_counts_with_the_nonce_and_in_spite_of_decoration(tmp_path: Path) -> None:
    me = worker(tmp_path)
    found = read_sentinel(me, "noise\n  ● WORKER_DONE: nonce1 all tests pass  \n> ")
    assert found is not None
    assert found.summary == "all tests pass"
    assert read_sentinel(me, "WORKER_DONE: something else\nsay WORKER_DONE: <nonce> summary") is None


def test_a_manual_session_merges_each_report_once_and_judges_by_evidence(view_of: Build) -> None:
    started = lives("w1")
    assert not wants_merge(view_of(*started, first=FIRST))
    assert wants_merge(view_of(*started, DONE, first=FIRST))
    assert not wants_merge(view_of(*started, DONE, merged(MergeResult.RED, CheckOutcome.RED), first=FIRST))
    again = view_of(*started, DONE, merged(MergeResult.RED, CheckOutcome.RED), DONE, first=FIRST)
    assert wants_merge(again)
    green = judged(view_of(*started, DONE, merged(MergeResult.MERGED), first=FIRST))
    assert green is not None
    assert green.outcome is Outcome.DONE
    unproven = judged(
        view_of(*started, DONE, merged(MergeResult.MERGED, CheckOutcome.NO_CHECKS), first=FIRST)
    )
    assert unproven is not None
    assert unproven.outcome is Outcome.UNVERIFIED


def test_a_role_that_only_reads_has_its_report_as_its_result(view_of: Build) -> None:
    started = lives("w1")
    assert judged(view_of(*started, first=FIRST), reads_only=True) is None
    mark = judged(view_of(*started, DONE, first=FIRST), reads_only=True)
    assert mark == f.GoalMarked(Outcome.DONE, "ok")
    for facts in ((f.PaneDied("w1", 0, ""),), (f.WorkerReported("w1", Report.BLOCKED, "no", "tool"),)):
        silent = judged(view_of(*started, *facts, first=FIRST), reads_only=True)
        assert silent is not None
        assert silent.outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "facts",
    [
        (f.PaneDied("w1", 1, ""), f.WorkerQuarantined("w1", "3 times")),
        (f.WorkerReported("w1", Report.FAILED, "no", "tool"),),
        (DONE, merged(MergeResult.NOTHING)),
        (f.SpawnFailed("w1", "no disk"),),
        (DONE, merged(MergeResult.RED, CheckOutcome.RED)) * 4,
    ],
)
def test_a_manual_session_without_a_result_fails(view_of: Build, facts: tuple[f.Fact, ...]) -> None:
    mark = judged(view_of(*lives("w1"), *facts, first=FIRST))
    assert mark is not None
    assert mark.outcome is Outcome.FAILED


def test_an_agent_that_ends_well_without_a_word_is_tried(view_of: Build) -> None:
    assert wants_merge(view_of(*lives("w1"), f.PaneDied("w1", 0, ""), first=FIRST))
    assert not wants_merge(view_of(*lives("w1"), f.PaneDied("w1", 2, ""), first=FIRST))


def test_a_stop_and_the_time_limit_end_a_session(view_of: Build) -> None:
    view = view_of(first=FIRST)
    assert ending(view, now=view.created_at + 59) is None
    late = ending(view, now=view.created_at + 61)
    assert late is not None
    assert late.outcome is Outcome.FAILED
    stopped = ending(view_of(f.StopAsked("me"), first=FIRST), now=0)
    assert stopped is not None
    assert stopped.outcome is Outcome.CANCELLED


def test_worker_ids_count_up_and_open_spawns_are_found(view_of: Build) -> None:
    view = view_of(*lives("lead"), *lives("w1"), lives("w2")[0])
    assert next_worker_id(view) == "w3"
    assert unfinished(view) == ["w2"]
    assert unfinished(view_of(lives("w1")[0], f.SpawnFailed("w1", "x"))) == []


def test_the_status_line_counts_states(view_of: Build) -> None:
    view = view_of(*lives("lead"), *lives("w1"), *lives("w2"), DONE, merged(MergeResult.MERGED))
    assert status_text(view) == "s1: 1 starting, 1 done, 1 merged"
