"""Who is started again after a fall, in which conversation, and who is left alone; who is adopted."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind, Outcome, Report
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import start_time
from agentorchestr.supervisor.finishing import ending
from agentorchestr.supervisor.reviving import Quarantine, Revive, what_next
from agentorchestr.supervisor.stock import compare
from agentorchestr.tmux.panes import PaneRow
from tests.supervisor.conftest import created, lives, spawned

View = Callable[..., SessionView]
FELL = f.PaneDied("w1", 1, "")
GONE = f.PaneDied("w1", None, "", from_outside=True)
DONE = f.WorkerReported("w1", Report.DONE, "ok", "tool")
MAIL = f.MessageQueued("m1", "supervisor", "w1", "the checks fail")
OPENED = f.PaneOpened("w1", "%1", 7, 1.0, "own-id")
READY = f.AgentReady("w1", "t")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((), None),
        ((FELL,), Revive("own-id", 0.0)),
        ((GONE,), Revive("own-id", 0.0)),
        ((FELL, f.WorkerRevived("w1", "own-id")), None),
        ((f.PaneDied("w1", 0, ""),), None),
        ((f.WorkerKilled("w1", "lead"), FELL), None),
        ((DONE, GONE), None),
        ((DONE, GONE, MAIL), Revive("own-id", 0.0)),
        ((GONE, f.StopAsked("person")), None),
        ((GONE, f.PauseAsked("person")), None),
        ((GONE, f.GoalMarked(Outcome.DONE, "ok")), None),
        ((GONE, f.GoalMarked(Outcome.PAUSED, "x"), f.SessionResumed("person")), Revive("own-id", 0.0)),
        ((FELL, f.WorkerQuarantined("w1", "3 times"), MAIL), None),
    ],
)
def test_whoever_ended_unasked_and_is_needed_is_started_again(
    view_of: View, facts: tuple[f.Fact, ...], expected: Revive | None
) -> None:
    view = view_of(spawned("w1"), OPENED, READY, *facts)
    assert what_next(view, view.workers["w1"]) == expected


def again(*between: f.Fact, resume: str = "own-id") -> tuple[f.Fact, ...]:
    return (f.WorkerRevived("w1", resume), OPENED, *between, FELL)


def test_three_falls_without_getting_anywhere_are_enough(view_of: View) -> None:
    view = view_of(spawned("w1"), OPENED, READY, FELL, *again(READY), *again(READY))
    assert isinstance(what_next(view, view.workers["w1"]), Quarantine)
    turn = f.AgentSeen("w1", AgentEventKind.TURN_ENDED, "hook")
    view = view_of(spawned("w1"), OPENED, READY, FELL, *again(READY, turn), *again(READY))
    assert what_next(view, view.workers["w1"]) == Revive("own-id", 2.0), "it got somewhere in between"


def test_a_conversation_that_did_not_come_up_is_not_tried_again(view_of: View) -> None:
    view = view_of(spawned("w1"), OPENED, READY, FELL, *again())
    assert what_next(view, view.workers["w1"]) == Revive("", 2.0)


def test_the_lead_is_told_of_a_quarantine_once_and_of_no_fall(view_of: View) -> None:
    view = view_of(*lives("w1"), FELL, *again(READY), *again(READY), f.WorkerQuarantined("w1", "3 times"))
    assert [(event.kind, event.text) for event in view.events] == [("dead", "3 times")]


def test_time_in_which_nobody_looked_does_not_count(view_of: View) -> None:
    # Fact n is recorded at second n; the session goes on after 100 s of which nobody knows.
    first = created(timeout_s=10.0)
    view = view_of(f.GoalMarked(Outcome.PAUSED, "x"), f.SessionEnded(Outcome.PAUSED, "x"), first=first)
    resumed = view_of(
        f.GoalMarked(Outcome.PAUSED, "x"),
        f.SessionEnded(Outcome.PAUSED, "x"),
        f.SessionResumed("person"),
        first=first,
    )
    assert (view.limit_from, resumed.limit_from) == (1.0, 2.0), "one second between the last two facts"
    assert ending(resumed, now=11.9) is None
    late = ending(resumed, now=12.1)
    assert late is not None
    assert late.outcome is Outcome.FAILED
    anew = view_of(f.SessionResumed("person", 50.0), first=first)
    assert (anew.limit_s, anew.limit_from) == (50.0, 2.0)


def row(worker: WorkerView, **changes: Any) -> PaneRow:
    shown = PaneRow(worker.pane_id, "@1", 0, "ao-s1", worker.pid, False, None, "", 80, 24, False, "x")
    return replace(shown, **changes)


def test_only_the_very_process_in_the_very_pane_is_adopted(view_of: View) -> None:
    me = os.getpid()
    opened = f.PaneOpened("w1", "%1", me, start_time(me) or 0.0)
    worker = view_of(spawned("w1"), opened).workers["w1"]
    seen = {worker.pane_id: row(worker)}
    assert compare((worker,), seen, moved=False).adopted == ("w1",)
    assert compare((worker,), seen, moved=True).moved == ("w1",)
    assert compare((worker,), {}, moved=False).gone == ("w1",), "its pane is gone"
    older = replace(worker, pid_started=worker.pid_started - 60)
    assert compare((older,), seen, moved=False).gone == ("w1",), "its number is somebody else's"
    reused = {worker.pane_id: row(worker, pid=1)}
    assert compare((worker,), reused, moved=False).gone == ("w1",), "its pane's number is another pane's"
    dead = compare((worker,), {worker.pane_id: row(worker, dead=True)}, moved=False)
    assert (dead.adopted, dead.gone) == ((), ()), "the watcher reads how it ended"
