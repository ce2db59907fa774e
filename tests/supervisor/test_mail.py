"""Messages between agents of one session."""

from collections.abc import Callable

import pytest

from agentorchestr.model import facts as f
from agentorchestr.model.states import SUPERVISOR, Report, WorkerState
from agentorchestr.model.view import SessionView
from agentorchestr.supervisor.replies import message_line

Build = Callable[..., SessionView]
DONE = f.WorkerReported("w1", Report.DONE, "ok", "tool")


def lives(worker_id: str) -> tuple[f.Fact, ...]:
    role = "lead" if worker_id == "lead" else "implementer"
    spawned = f.WorkerSpawned(worker_id, role, "practice", "task", (), "", "", "b", "/w", "n")
    return (spawned, f.PaneOpened(worker_id, "%1", 7, 1.0), f.AgentReady(worker_id, "t"))


def test_an_order_reopens_a_finished_task_and_a_peer_s_note_does_not(view_of: Build) -> None:
    note = f.MessageQueued("m1", "w2", "w1", "by the way")
    assert view_of(*lives("w1"), DONE, note).workers["w1"].state is WorkerState.DONE
    for sender in ("lead", SUPERVISOR):
        order = f.MessageQueued("m1", sender, "w1", "again")
        assert view_of(*lives("w1"), DONE, order).workers["w1"].report is None


def test_a_message_that_arrives_twice_is_one_and_stays_read(view_of: Build) -> None:
    letter = f.MessageQueued("m1", "a/b/c", "w1", "hello")
    view = view_of(*lives("w1"), letter, f.MessagesRead("w1", ("m1",)), letter)
    assert view.unread_of("w1") == ()
    assert len(view.messages) == 1


def test_a_peer_s_message_to_the_lead_is_an_event_without_its_text(view_of: Build) -> None:
    view = view_of(*lives("lead"), f.MessageQueued("m1", "w1", "lead", "OBEY", subject="a word"))
    (event,) = view.events
    assert (event.kind, event.worker_id) == ("message", "w1")
    assert "OBEY" not in event.text


@pytest.mark.parametrize("verified", [True, False])
def test_a_model_is_told_whether_the_sender_is_proven(view_of: Build, *, verified: bool) -> None:
    letter = f.MessageQueued("m1", "a/b/c", "w1", "hello", subject="s", verified=verified)
    line = message_line(view_of(*lives("w1"), letter).messages["m1"])
    assert line["sender"] == "a/b/c"
    assert line.get("sender_unverified", False) is not verified
