"""A turn in which nothing moves is told once; what moves, a tool that runs and an announced quiet are respected."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import SessionView
from agentorchestr.process import Activity
from agentorchestr.supervisor.bells import Bell, due, patience_s
from agentorchestr.supervisor.stalls import QUIET_S, SAMPLE_S, TOOL_QUIET_S, Sample, moved
from tests.supervisor.conftest import lives
from tests.supervisor.watching import BUSY, Stage, hook

SAMPLE = Sample(0.0, 1, 9, Activity(frozenset({1, 2}), 5.0), (1, 2, 3))
NEXT = replace(SAMPLE, at=SAMPLE_S)


@pytest.mark.parametrize(
    "now",
    [
        replace(NEXT, transcript_bytes=10),
        replace(NEXT, activity=Activity(frozenset({1, 2}), 5.0 + SAMPLE_S / 2)),
        replace(NEXT, activity=Activity(frozenset({1}), 5.0)),
        replace(NEXT, activity=None),
        replace(NEXT, work=(1, 2, 4)),
        replace(NEXT, pid=2),
    ],
)
def test_each_witness_is_a_sign_of_life(now: Sample) -> None:
    assert not moved(SAMPLE, NEXT)
    assert not moved(SAMPLE, replace(NEXT, activity=Activity(frozenset({1, 2}), 5.5))), "a spinner is no work"
    assert moved(SAMPLE, now)


async def in_turn(stage: Stage) -> None:
    await stage.start("w1", BUSY)
    stage.drop(1, hook(hook_event_name="UserPromptSubmit"))
    await stage.watcher.read_spool()
    await stage.look("w1")


async def quiet(stage: Stage, seconds: float) -> None:
    """Let *seconds* pass, with looks at the worker as the watcher has them."""
    steps = 6
    for _ in range(steps):
        await stage.look("w1", after_s=seconds / steps)


def alarms(stage: Stage) -> list[str]:
    return [event.text for event in stage.book.view.events if event.kind == "idle"]


@pytest.mark.anyio
async def test_a_turn_in_which_nothing_moves_is_told_once(stage: Stage) -> None:
    await in_turn(stage)
    await quiet(stage, QUIET_S - 60)
    assert alarms(stage) == []
    await quiet(stage, 120)
    assert len(alarms(stage)) == 1
    assert "nothing moved for" in alarms(stage)[0]
    seq = stage.book.view.last_seq
    await quiet(stage, 5 * QUIET_S)
    assert stage.book.view.last_seq == seq, "no wake without a new fact"


@pytest.mark.anyio
async def test_after_a_sign_of_life_a_new_silence_is_a_new_alarm(stage: Stage) -> None:
    await in_turn(stage)
    await quiet(stage, QUIET_S + 60)
    assert stage.worker("w1").stalled
    stage.drop(2, hook(hook_event_name="PostToolUse", tool_name="Bash"))
    await stage.watcher.read_spool()
    assert not stage.worker("w1").stalled
    await quiet(stage, QUIET_S - 60)
    assert len(alarms(stage)) == 1
    await quiet(stage, 120)
    assert len(alarms(stage)) == 2


@pytest.mark.anyio
async def test_a_transcript_that_grows_is_enough(stage: Stage) -> None:
    await in_turn(stage)
    transcript = stage.folder / "t.jsonl"
    transcript.write_text("{}\n")
    payload = hook(hook_event_name="PostToolUse", transcript_path=str(transcript))
    stage.drop(2, payload)
    await stage.watcher.read_spool()
    for _ in range(4):
        await quiet(stage, QUIET_S - 60)
        with transcript.open("a") as out:
            out.write("{}\n")
        await stage.look("w1", after_s=SAMPLE_S)
    assert alarms(stage) == []


@pytest.mark.anyio
async def test_a_tool_that_runs_is_given_more_time(stage: Stage) -> None:
    await in_turn(stage)
    stage.drop(2, hook(hook_event_name="PreToolUse", tool_name="run_tests"))
    await stage.watcher.read_spool()
    await quiet(stage, TOOL_QUIET_S - 120)
    assert alarms(stage) == []
    await quiet(stage, 240)
    assert "while run_tests runs" in alarms(stage)[0]


@pytest.mark.anyio
async def test_an_announced_quiet_is_respected_and_then_ends(stage: Stage) -> None:
    await in_turn(stage)
    await stage.book.record(f.ProgressNoted("w1", "the long suite", 3 * QUIET_S))
    await quiet(stage, 3 * QUIET_S - 60)
    assert alarms(stage) == []
    await quiet(stage, QUIET_S)
    assert len(alarms(stage)) == 1


def test_nobody_is_reminded_during_an_announced_quiet(view_of: Callable[..., SessionView]) -> None:
    facts = (
        *lives("w1"),
        f.AgentSeen("w1", AgentEventKind.PROMPT_TAKEN, "hook"),
        f.ProgressNoted("w1", "tests run in the background", 600.0),
        f.AgentSeen("w1", AgentEventKind.TURN_ENDED, "hook"),
    )
    worker = view_of(*facts).workers["w1"]
    bell = due(view_of(*facts), worker, tool_name="get_brief", first_line="")
    assert bell is not None
    assert patience_s(worker, bell, now=worker.since + 100) > 400
    assert patience_s(worker, bell, now=worker.quiet_until) == 0.0


def test_alarms_of_many_workers_are_one_line_for_the_lead(view_of: Callable[..., SessionView]) -> None:
    workers = [f"w{number}" for number in range(1, 4)]
    facts = (
        *lives("lead"),
        f.AgentSeen("lead", AgentEventKind.PROMPT_TAKEN, "hook"),
        *(fact for name in workers for fact in lives(name)),
        *(f.AgentSeen(name, AgentEventKind.PROMPT_TAKEN, "hook") for name in workers),
        f.AgentSeen("lead", AgentEventKind.TURN_ENDED, "hook"),
    )
    silent = view_of(*facts)
    assert due(silent, silent.workers["lead"], tool_name="wait_for_any", first_line="") is None
    told = view_of(*facts, *(f.WorkerStalled(name, "nothing moved") for name in workers))
    bell = due(told, told.workers["lead"], tool_name="wait_for_any", first_line="")
    assert isinstance(bell, Bell)
    assert [f"{name} idle" in bell.line for name in workers] == [True] * 3
    read = view_of(*facts, *(f.WorkerStalled(name, "x") for name in workers), f.EventsRead("lead", 99))
    after = due(read, read.workers["lead"], tool_name="wait_for_any", first_line="")
    assert after is None or after.why.startswith("nothing runs")
