"""What the watcher makes of panes, screens, hooks and flags: real tmux, a clock of the test's own."""

import asyncio
import json
import os
import signal

import pytest

from agentorchestr.clock import until
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind, Report, WorkerState
from agentorchestr.process import lives
from agentorchestr.supervisor.starts import START_LIMIT_S, START_LOOK_S
from agentorchestr.supervisor.tmux_gone import fell_with_tmux
from agentorchestr.supervisor.watcher import TICK_S
from agentorchestr.tmux import panes
from tests.supervisor.watching import BUSY, READY, Stage, hook

pytestmark = pytest.mark.anyio
DIALOG = f"Sign in\\n  {READY}1. Continue\\n  Press enter to continue"


# -- hooks


async def test_half_an_emoji_in_a_hook_is_recorded_and_what_is_behind_it_as_well(stage: Stage) -> None:
    await stage.start("w1", READY)
    await stage.begin_turn("w1")
    for number in (1, 2):
        stage.drop(number, hook(hook_event_name="PermissionRequest", tool_name="well \ud83d"))
    stage.drop(3, hook(hook_event_name="Stop", last_assistant_message="x"))
    await stage.watcher.read_spool()
    seen = [item.fact for item in await stage.book.facts(after=0, limit=99)]
    kinds = [fact.kind for fact in seen if isinstance(fact, f.AgentSeen)]
    assert kinds[1:] == [AgentEventKind.ASKS, AgentEventKind.TURN_ENDED], "the second time it is no news"
    assert "well \ufffd" in [fact.detail for fact in seen if isinstance(fact, f.AgentSeen)]
    assert not list(stage.spool.glob("*.json"))


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"nothing", b'{"worker_id": 7, "payload": {}}', b"\xff\xfe["]
)
async def test_a_file_that_is_no_hook_is_set_aside_and_holds_nothing_up(stage: Stage, content: bytes) -> None:
    await stage.start("w1", READY)
    bad = stage.drop(1, content)
    stage.drop(2, hook(hook_event_name="UserPromptSubmit"))
    await stage.watcher.read_spool()
    assert stage.worker("w1").in_turn
    assert bad.with_suffix(".bad").exists()
    assert not list(stage.spool.glob("*.json"))


async def test_a_hook_that_nobody_foresaw_is_set_aside_and_holds_nothing_up(stage: Stage) -> None:
    await stage.start("w1", READY)
    await stage.start("w2", READY, agent="claude")
    # An agent that is not in the catalogue any more, say after an update.
    del stage.specs["claude"]
    lost = json.dumps({"worker_id": "w2", "payload": {"hook_event_name": "Stop"}}).encode()
    bad = stage.drop(1, lost)
    stage.drop(2, hook(hook_event_name="UserPromptSubmit", transcript_path="/no/\0/path"))
    await stage.watcher.read_spool()
    assert stage.worker("w1").in_turn
    assert bad.with_suffix(".bad").exists()


# -- starts


async def test_a_dialog_at_the_start_is_told_whatever_the_agent_and_goes_with_it(stage: Stage) -> None:
    pane_id = await stage.start("w1", DIALOG)
    assert not (await stage.look("w1")).asks
    worker = await stage.look("w1", after_s=START_LOOK_S)
    assert worker.state is WorkerState.ASKS
    assert "Press enter to continue" in worker.asks
    assert not (await stage.look("w1", after_s=START_LIMIT_S)).stalled, "a person is asked, that is enough"
    stage.order("w1", f"show {READY}")
    assert until(lambda: panes.capture(stage.server, pane_id)[0].strip() == READY.strip(), within_s=5)
    assert (await stage.look("w1")).state is WorkerState.STARTING


@pytest.mark.parametrize(("agent", "ready"), [("codex", True), ("claude", False)])
@pytest.mark.parametrize("shown", ["", READY])
async def test_a_start_that_leads_nowhere_is_told(
    stage: Stage, agent: str, shown: str, *, ready: bool
) -> None:
    await stage.start("w1", shown, agent=agent, ready=ready)
    assert not (await stage.look("w1", after_s=START_LIMIT_S / 2)).stalled
    worker = await stage.look("w1", after_s=START_LIMIT_S / 2)
    assert worker.stalled
    assert stage.book.view.events[-1].kind == "idle"
    seq = stage.book.view.last_seq
    await stage.look("w1", after_s=TICK_S)
    assert stage.book.view.last_seq == seq, "told once"


async def test_a_turn_without_any_hook_is_no_failed_start(stage: Stage) -> None:
    await stage.start("w1", BUSY)
    assert (await stage.look("w1", after_s=START_LIMIT_S + 1)).state is WorkerState.WORKING


# -- reports by flag


async def test_two_looks_at_once_lose_no_report_and_keep_its_order(stage: Stage) -> None:
    pane_id = await stage.start("w1", READY)
    flag = stage.folder / "w1" / ".agentorchestr" / "done.flag"
    flag.write_text("done n1\nall there\n")
    os.kill(stage.worker("w1").pid, signal.SIGKILL)
    assert until(
        lambda: any(r.dead for r in panes.list_panes(stage.server) if r.pane_id == pane_id), within_s=5
    )
    await asyncio.gather(*(stage.watcher.look_at_panes() for _ in range(3)))
    worker = stage.worker("w1")
    assert (worker.report, worker.state, worker.alive) == (Report.DONE, WorkerState.DONE, False)
    assert [event.kind for event in stage.book.view.events] == ["done"]
    assert not flag.exists()


async def test_a_flag_is_used_up_when_its_report_is_stored(stage: Stage) -> None:
    await stage.start("w1", READY)
    flag = stage.folder / "w1" / ".agentorchestr" / "done.flag"
    flag.write_text("done n1\nfirst\n")
    assert (await stage.look("w1")).report is Report.DONE
    assert not flag.exists()
    await stage.book.record(f.MessageQueued("m1", "lead", "w1", "more"))
    flag.write_text("done n1\na crash left it\n")
    assert (await stage.look("w1")).report is None


# -- panes and tmux itself


async def test_a_program_that_ends_after_its_terminal_is_recorded_with_its_exit_status(stage: Stage) -> None:
    pane_id = await stage.start("w1", READY)
    stage.order("w1", "leave")
    assert until(
        lambda: any(r.dead for r in panes.list_panes(stage.server) if r.pane_id == pane_id), within_s=5
    )
    await stage.watcher.look_at_panes()
    assert stage.worker("w1").exit_status == 3


async def test_agents_outlive_a_tmux_that_does_not_answer(stage: Stage) -> None:
    await stage.start("w1", READY)
    socket = stage.server.socket
    socket.rename(socket.with_suffix(".away"))
    try:
        for _ in range(3):
            stage.clock.late_s += TICK_S
            await stage.watcher.look_at_panes()
        assert stage.worker("w1").alive
        assert not stage.book.view.tmux_lost
    finally:
        socket.with_suffix(".away").rename(socket)
    await stage.watcher.look_at_panes()
    assert stage.worker("w1").alive


@pytest.mark.parametrize("end", [("kill-server",), ("kill-session", "-t", "=ao-s1")])
async def test_tmux_is_lost_when_its_agents_are_gone_with_it(stage: Stage, end: tuple[str, ...]) -> None:
    await stage.start("w1", READY)
    await stage.start("w2", READY)
    stage.server.run("new-session", "-d", "-s", "another", "sleep", "600")
    stage.server.run(*end)
    for _ in range(3):
        stage.clock.late_s += TICK_S
        await stage.watcher.look_at_panes()
    assert stage.worker("w1").alive, "its process lives"
    for worker in stage.book.view.workers.values():
        os.kill(worker.pid, signal.SIGKILL)
    assert until(
        lambda: not any(lives(w.pid, w.pid_started) for w in stage.book.view.workers.values()), within_s=5
    )
    await stage.watcher.look_at_panes()
    assert stage.book.view.tmux_lost
    kinds = [type(item.fact).__name__ for item in await stage.book.facts(after=0, limit=99)]
    assert kinds[-3:] == ["TmuxLost", "PaneDied", "PaneDied"]
    await stage.watcher.look_at_panes()
    assert len(await stage.book.facts(after=0, limit=99)) == len(kinds), "told once"


async def test_one_look_is_not_enough_to_lose_tmux(stage: Stage) -> None:
    stage.server.run("kill-server")
    await stage.watcher.look_at_panes()
    assert not stage.book.view.tmux_lost
    stage.clock.late_s += TICK_S
    await stage.watcher.look_at_panes()
    assert stage.book.view.tmux_lost


async def test_what_failed_because_tmux_ended_is_told_from_what_failed_by_itself(stage: Stage) -> None:
    await stage.start("w1", READY)
    gear = stage.watcher._gear
    assert not await fell_with_tmux(gear)
    stage.server.run("kill-server")
    asked = asyncio.create_task(fell_with_tmux(gear))
    await stage.book.record(f.TmuxLost())
    assert await asyncio.wait_for(asked, 15)
