"""The end of a turn of which no hook tells, and turns of which nobody can tell anything."""

from dataclasses import replace

import pytest

from agentorchestr.agents.screens import ScreenState
from agentorchestr.clock import until
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind, WorkerState
from agentorchestr.process import Activity, activity
from agentorchestr.supervisor.watcher import TICK_S
from agentorchestr.supervisor.witnesses import (
    DOUBT_AFTER_S,
    SILENT_S,
    UNHEARD_STILL_S,
    Finding,
    Look,
    compare,
)
from agentorchestr.tmux import panes
from tests.supervisor.watching import BUSY, READY, Stage, hook

LOOK = Look(0.0, 1, ScreenState.READY, transcript_bytes=9, activity=Activity(frozenset({1, 2}), 5.0))
NEXT = replace(LOOK, at=TICK_S)
QUESTION = f.MessageQueued("m1", "lead", "w1", "are you there?")


@pytest.mark.parametrize(
    "now",
    [
        replace(NEXT, transcript_bytes=10),
        replace(NEXT, activity=Activity(frozenset({1, 2}), 5.0 + TICK_S)),
        replace(NEXT, activity=Activity(frozenset({1, 2, 3}), 5.0)),
        replace(NEXT, activity=None),
        replace(NEXT, screen=ScreenState.BUSY),
        replace(NEXT, screen=ScreenState.UNKNOWN),
        replace(NEXT, pid=2),
    ],
)
def test_a_screen_alone_ends_no_turn_when_another_witness_contradicts(now: Look) -> None:
    assert compare(LOOK, NEXT, silent_s=0)[0] is Finding.ENDED
    assert compare(None, NEXT, silent_s=0)[0] is Finding.NOTHING
    assert compare(LOOK, now, silent_s=0)[0] is not Finding.ENDED


def looks_until(look: Look, step: Look, *, looks: int) -> list[Finding]:
    """What *looks* looks find, each *step* further than the one before."""
    found, before = [], look
    for _ in range(looks):
        moved = Activity(frozenset({1}), (before.activity or Activity(frozenset(), 0)).cpu_s + TICK_S)
        now = replace(step, at=before.at + TICK_S, activity=moved if step.activity else None)
        finding, before = compare(before, now, silent_s=0)
        found.append(finding)
    return found


@pytest.mark.parametrize(
    ("step", "doubt"),
    [(NEXT, Finding.CONTRADICTED), (replace(LOOK, screen=None, activity=None), Finding.UNREADABLE)],
)
def test_witnesses_that_disagree_for_long_are_a_doubt(step: Look, doubt: Finding) -> None:
    looks = int(DOUBT_AFTER_S / TICK_S)
    found = looks_until(LOOK, step, looks=looks + 2)
    assert set(found[: looks - 1]) == {Finding.NOTHING}
    assert found[-1] is doubt


def test_an_agent_without_hooks_has_to_stand_still_for_longer() -> None:
    finding, kept = compare(LOOK, NEXT, silent_s=0, still_s=UNHEARD_STILL_S)
    assert finding is Finding.NOTHING
    finding, kept = compare(kept, replace(NEXT, at=UNHEARD_STILL_S - 1), silent_s=0, still_s=UNHEARD_STILL_S)
    assert finding is Finding.NOTHING
    assert (
        compare(kept, replace(NEXT, at=UNHEARD_STILL_S), silent_s=0, still_s=UNHEARD_STILL_S)[0]
        is Finding.ENDED
    )


@pytest.mark.anyio
async def test_a_lost_hook_keeps_no_message_for_ever(stage: Stage) -> None:
    await stage.start("w1", READY)
    await stage.begin_turn("w1")
    await stage.look("w1")
    assert (await stage.look("w1", after_s=TICK_S)).in_turn, "nobody waits, and hooks come late at times"
    await stage.book.record(QUESTION)
    assert (await stage.look("w1", after_s=TICK_S)).in_turn
    assert (await stage.look("w1", after_s=TICK_S)).state is WorkerState.IDLE


@pytest.mark.anyio
async def test_a_program_at_work_is_in_its_turn_whatever_its_screen_shows(stage: Stage) -> None:
    await stage.start("w1", READY)
    await stage.begin_turn("w1")
    await stage.book.record(QUESTION)
    stage.order("w1", "work")
    pid = (await stage.look("w1")).pid
    used_s = cpu_s(pid)
    assert until(lambda: cpu_s(pid) > used_s + 0.5, within_s=20)
    assert (await stage.look("w1")).in_turn


@pytest.mark.anyio
async def test_an_agent_whose_witnesses_disagree_is_unknown_until_they_agree(stage: Stage) -> None:
    pane_id = await stage.start("w1", READY)
    transcript = stage.folder / "transcript.jsonl"
    stage.drop(1, hook(hook_event_name="UserPromptSubmit", transcript_path=str(transcript)))
    await stage.watcher.read_spool()
    await stage.book.record(QUESTION)
    states = []
    for after_s in (0.0, TICK_S, DOUBT_AFTER_S):
        with transcript.open("a") as file:
            file.write("{}\n")
        states.append((await stage.look("w1", after_s=after_s)).state)
    assert states == [WorkerState.WORKING, WorkerState.WORKING, WorkerState.UNKNOWN]
    assert stage.book.view.events[-1].kind == "unknown"
    stage.order("w1", f"show {BUSY}")
    assert until(lambda: "Working" in panes.capture(stage.server, pane_id)[0], within_s=5)
    assert (await stage.look("w1")).state is WorkerState.WORKING


@pytest.mark.anyio
async def test_long_silence_and_an_odd_screen_make_a_worker_unknown_once(stage: Stage) -> None:
    await stage.start("w1", "a screen of which nobody knows")
    await stage.begin_turn("w1")
    await stage.look("w1")
    assert (await stage.look("w1", after_s=SILENT_S - 10)).state is WorkerState.WORKING
    stage.drop(1, hook(hook_event_name="PostToolUse"))
    await stage.watcher.read_spool()
    assert (await stage.look("w1", after_s=20)).state is WorkerState.WORKING, "a hook is a sign of life"
    assert (await stage.look("w1", after_s=SILENT_S)).state is WorkerState.UNKNOWN
    await stage.look("w1", after_s=SILENT_S)
    assert [event.kind for event in stage.book.view.events] == ["unknown"]
    stage.drop(2, hook(hook_event_name="PostToolUse"))
    await stage.watcher.read_spool()
    assert stage.worker("w1").state is WorkerState.WORKING


@pytest.mark.anyio
async def test_a_silent_turn_with_a_busy_screen_goes_on(stage: Stage) -> None:
    await stage.start("w1", BUSY)
    await stage.begin_turn("w1")
    await stage.look("w1")
    assert (await stage.look("w1", after_s=3 * SILENT_S)).state is WorkerState.WORKING


def cpu_s(pid: int) -> float:
    found = activity(pid)
    assert found is not None
    return found.cpu_s


@pytest.mark.anyio
async def test_a_question_that_another_call_of_the_turn_hid_is_seen_on_the_screen(stage: Stage) -> None:
    await stage.start("w1", "  Would you like to run the following command?")
    await stage.begin_turn("w1")
    await stage.book.record(
        f.AgentSeen("w1", AgentEventKind.ASKS, "hook", "Bash"),
        f.AgentSeen("w1", AgentEventKind.ACTIVE, "tool call", "send_message"),
    )
    assert not (await stage.look("w1")).asks
    assert not (await stage.look("w1")).asks, "nobody waits for its turn's end, so nobody looks"
    await stage.book.record(QUESTION)
    await stage.look("w1")
    assert (await stage.look("w1")).asks
    assert stage.worker("w1").state is WorkerState.ASKS
    before = stage.book.view.last_seq
    await stage.look("w1")
    assert stage.book.view.last_seq == before, "told once"
