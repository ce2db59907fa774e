"""What is too long for a model is cut with a mark, and every file in conflict is named."""

from collections.abc import Callable

from agentorchestr.model import facts as f
from agentorchestr.model.states import CheckOutcome, MergeResult, Report
from agentorchestr.model.verdict import CheckRun, Conflict, MergeAttempt, Verdict
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.supervisor.replies import merge_line, worker_line
from agentorchestr.supervisor.told import told_after_merge
from tests.supervisor.conftest import lives

Build = Callable[..., SessionView]


def worker(view_of: Build) -> WorkerView:
    return view_of(*lives("w1")).workers["w1"]


def body(view_of: Build, attempt: MergeAttempt) -> str:
    (message,) = told_after_merge(worker(view_of), attempt, asked_at=0.0)
    assert isinstance(message, f.MessageQueued)
    return message.body


def conflicting(count: int) -> MergeAttempt:
    conflicts = tuple(Conflict(f"file{n}.py", "content", "x" * 4000) for n in range(count))
    return MergeAttempt("m", "w1", MergeResult.CONFLICT, conflicts=conflicts)


def failing(tail: str) -> MergeAttempt:
    run = CheckRun("make test", 1, 1.0, "", tail)
    verdict = Verdict("v", "c", "t", CheckOutcome.RED, (run,), 1.0, 1.0)
    return MergeAttempt("m", "w1", MergeResult.RED, verdict=verdict)


def test_a_merge_of_what_has_newer_work_since_is_no_order_any_more(view_of: Build) -> None:
    view = view_of(*lives("w1"), f.WorkerReported("w1", Report.DONE, "again", "tool"))
    reported = view.workers["w1"].reported_at
    assert told_after_merge(view.workers["w1"], failing("x"), asked_at=reported + 1)
    assert told_after_merge(view.workers["w1"], failing("x"), asked_at=reported - 1) == []
    assert told_after_merge(view.workers["w1"], conflicting(1), asked_at=reported - 1) == []


def test_every_file_in_conflict_is_named_when_the_hunks_are_cut(view_of: Build) -> None:
    text = body(view_of, conflicting(5))
    assert all(f"file{n}.py (content)" in text for n in range(5))
    assert text.endswith(" more characters]")
    assert "[cut: 20 more]" in body(view_of, conflicting(120))


def test_the_end_of_the_checks_output_is_kept_and_the_cut_is_said(view_of: Build) -> None:
    text = body(view_of, failing("x" * 8000 + "the end"))
    assert text.endswith("the end")
    assert "more characters before this]" in text
    assert "cut" not in body(view_of, failing("short"))


def test_the_lead_is_told_what_a_reply_leaves_out(view_of: Build) -> None:
    files = tuple(f"f{n}" for n in range(60))
    line = merge_line(MergeAttempt("m", "w1", MergeResult.REFUSED, files=files, altered_tests=files))
    assert line["files"] == line["altered_tests"] == [*files[:50], "[cut: 10 more]"]
    assert merge_line(conflicting(60))["conflicts"][-1] == {"path": "[cut: 10 more]", "kind": ""}  # type: ignore[index]
    assert "output_end" not in merge_line(conflicting(1))
    noted = view_of(*lives("w1"), f.ProgressNoted("w1", "n" * 400)).workers["w1"]
    assert str(worker_line(noted, now=0.0)["note"]).endswith("[cut: 100 more characters]")
