"""Turn what agents, tmux and files show into facts. Nothing here decides; a failed probe records nothing."""

import asyncio
import logging
from pathlib import Path

from agentorchestr.agents.screens import ScreenState, classify
from agentorchestr.agents.signals import AgentSignal, read_hook, read_rollout, read_status_file
from agentorchestr.agents.tokens import count_tokens
from agentorchestr.agents.transcripts import find_transcript
from agentorchestr.errors import PaneGone, TmuxError
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Fact
from agentorchestr.model.states import AgentEventKind, WorkerState
from agentorchestr.model.view import WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor.flags import read_flag, read_sentinel
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.spool import Dropped, Spool, set_aside
from agentorchestr.tmux import panes
from agentorchestr.tmux.panes import PaneRow

logger = logging.getLogger(__name__)

TICK_S = 1.5
"""A dead pane is known within two seconds even when tmux's own hook does not come."""
START_LOOK_S = 6.0
"""A start that takes longer is looked at: a dialog may stand on its screen."""
START_LIMIT_S = 90.0
LAST_SCREEN_LINES = 40


class Watcher:
    """Reads the spool when its bell rings, and all panes once per tick."""

    def __init__(self, gear: Gear, spool: Spool) -> None:
        self._gear = gear
        self._spool = spool
        self._transcripts: dict[str, Path] = {}
        self._suspected: dict[str, AgentEventKind] = {}

    async def serve(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.follow_spool())
            tasks.create_task(self._tick_for_ever())

    async def follow_spool(self) -> None:
        """Take what hooks leave, until cancelled."""
        while True:
            await self.read_spool()
            await self._spool.rung(timeout_s=TICK_S)

    async def read_spool(self) -> None:
        """Record what waits in the spool; files go only when their facts are stored."""
        dropped = await offload(self._spool.read)
        if not dropped:
            return
        if any(item.payload is None for item in dropped):
            await self.look_at_panes()
        for item in dropped:
            try:
                await self._take_hook(item)
            except (ValueError, TypeError, LookupError, OSError, RecursionError):
                # One file that we do not get along with must not keep all behind it waiting for ever.
                logger.exception("hook not taken", extra={"worker_id": item.worker_id})
                await offload(set_aside, item.path)
            await offload(item.path.unlink, missing_ok=True)

    async def _take_hook(self, item: Dropped) -> None:
        worker = self._gear.view.workers.get(item.worker_id)
        if worker is None or item.payload is None:
            return
        spec = self._gear.catalogue[worker.agent]
        signal = read_hook(spec, item.payload)
        if signal is None:
            return
        if signal.transcript:
            self._transcripts[worker.worker_id] = Path(signal.transcript)
        await self._record_signal(worker.worker_id, signal, source="hook")
        if signal.kind in {AgentEventKind.TURN_ENDED, AgentEventKind.ENDED}:
            await self._count_tokens(worker.worker_id)

    async def _record_signal(self, worker_id: str, signal: AgentSignal, *, source: str) -> None:
        fact = f.AgentSeen(worker_id, signal.kind, source, signal.detail[:500], signal.agent_session)
        await self._gear.book.decide(lambda view: [fact] if _is_news(view.workers[worker_id], signal) else [])

    async def _count_tokens(self, worker_id: str) -> None:
        worker = self._gear.view.workers[worker_id]
        spec = self._gear.catalogue[worker.agent]
        transcript = self._transcripts.get(worker_id) or await offload(
            find_transcript, spec, agent_session=worker.agent_session, env=self._gear.environment
        )
        if transcript is None:
            return
        tokens = await offload(count_tokens, spec, transcript)
        if tokens.known and tokens != worker.tokens:
            await self._gear.book.record(
                f.TokensCounted(worker_id, tokens.input, tokens.output, tokens.cached)
            )

    async def count_all_tokens(self) -> None:
        """Count once more at the end: a transcript is a moment behind the hook that tells of a turn's end."""
        for worker_id in tuple(self._gear.view.workers):
            await self._count_tokens(worker_id)

    async def _tick_for_ever(self) -> None:
        while True:
            await self._gear.clock.pause(TICK_S)
            await self.look_at_panes()
            for worker in tuple(self._gear.view.workers.values()):
                if worker.alive:
                    await self._look_at_worker(worker)

    async def look_at_panes(self) -> None:
        """Record the panes that died or are gone. tmux not answering is no proof of anything."""
        try:
            rows = await offload(panes.list_panes, self._gear.tmux, self._gear.tmux_session)
        except TmuxError as exc:
            logger.warning("panes not listed", extra={"detail": str(exc)})
            return
        by_id = {row.pane_id: row for row in rows}
        for worker in tuple(self._gear.view.workers.values()):
            row = by_id.get(worker.pane_id)
            if worker.alive and worker.pane_id and (row is None or row.dead):
                await self._pane_died(worker, row)

    async def _pane_died(self, worker: WorkerView, row: PaneRow | None) -> None:
        screen = ""
        if row is not None:
            screen = await offload(self._last_screen, row.pane_id)
        reports = await offload(self._reports, worker, screen)
        status = row.dead_status if row is not None else None
        await self._gear.book.decide(
            lambda view: (
                [*reports, f.PaneDied(worker.worker_id, status, screen)]
                if view.workers[worker.worker_id].alive
                and view.workers[worker.worker_id].pane_id == worker.pane_id
                else []
            )
        )

    def _last_screen(self, pane_id: str) -> str:
        try:
            return "\n".join(panes.capture(self._gear.tmux, pane_id, tail_lines=LAST_SCREEN_LINES))
        except (PaneGone, TmuxError):
            return ""

    def _reports(self, worker: WorkerView, screen: str) -> list[Fact]:
        """What an agent without MCP said by its flag file or a line on its screen."""
        if worker.is_lead or worker.report is not None:
            return []
        found = read_flag(worker) or read_sentinel(worker, screen)
        return [found] if found is not None else []

    async def _look_at_worker(self, worker: WorkerView) -> None:
        spec = self._gear.catalogue[worker.agent]
        screen = ""
        if spec.mcp is None or (not worker.ready and self._age(worker) > START_LOOK_S):
            screen = await offload(self._last_screen, worker.pane_id)
        for fact in await offload(self._reports, worker, screen if spec.mcp is None else ""):
            await self._gear.book.record(fact)
        if screen and not worker.prompt_taken:
            await self._look_at_start(worker, tuple(screen.splitlines()), has_mcp=spec.mcp is not None)
        await self._cross_check(worker)

    def _age(self, worker: WorkerView) -> float:
        return self._gear.clock.now() - worker.spawned_at

    async def _look_at_start(self, worker: WorkerView, screen: tuple[str, ...], *, has_mcp: bool) -> None:
        state = classify(self._gear.catalogue[worker.agent], screen)
        if state is ScreenState.ASKS and worker.state is not WorkerState.ASKS:
            shown = next((line.strip() for line in reversed(screen) if line.strip()), "a dialog")
            seen = AgentSignal(AgentEventKind.ASKS, f"a dialog at its start: {shown}")
            await self._record_signal(worker.worker_id, seen, source="screen")
        elif state is ScreenState.READY and not has_mcp and not worker.ready:
            await self._gear.book.record(f.AgentReady(worker.worker_id, "screen"))
        elif self._age(worker) > START_LIMIT_S and not worker.stalled:
            await self._gear.book.record(f.WorkerStalled(worker.worker_id, "no turn began after its start"))

    async def _cross_check(self, worker: WorkerView) -> None:
        """Ask the second witness, for what hooks do not tell: interrupts, refusals, failed turns."""
        spec = self._gear.catalogue[worker.agent]
        signal = await offload(read_status_file, spec, worker.pid, self._gear.environment)
        source = "status file"
        transcript = self._transcripts.get(worker.worker_id)
        if signal is None and worker.in_turn and transcript is not None:
            signal, source = await offload(read_rollout, spec, transcript), "transcript"
        if signal is None and self._is_awaited(worker):
            signal, source = await offload(self._read_screen, worker), "screen"
        # Twice the same, a tick apart: a hook of the very same moment may still be on its way.
        if signal is None or self._suspected.get(worker.worker_id) is not signal.kind:
            self._suspected.pop(worker.worker_id, None)
            if signal is not None:
                self._suspected[worker.worker_id] = signal.kind
            return
        await self._record_signal(worker.worker_id, signal, source=source)

    def _is_awaited(self, worker: WorkerView) -> bool:
        """Whether somebody waits for this turn's end: a lost hook must not keep a message for ever."""
        view = self._gear.view
        unread = bool(view.unread_of(worker.worker_id))
        return worker.in_turn and (unread or (worker.is_lead and bool(view.unread_events)))

    def _read_screen(self, worker: WorkerView) -> AgentSignal | None:
        """The turn's end, if the screen shows an agent that is ready; the screen is never asked first."""
        screen = tuple(self._last_screen(worker.pane_id).splitlines())
        ready = classify(self._gear.catalogue[worker.agent], screen) is ScreenState.READY
        return AgentSignal(AgentEventKind.TURN_ENDED, "its screen is ready") if ready else None


def _is_news(worker: WorkerView, signal: AgentSignal) -> bool:
    """Whether this signal changes anything: agents tell the same thing many times a turn."""
    if not worker.alive:
        return False
    match signal.kind:
        case AgentEventKind.ACTIVE:
            return not worker.in_turn or bool(worker.asks) or worker.limited
        case AgentEventKind.TURN_ENDED:
            return (worker.in_turn or bool(worker.asks)) and not signal.background
        case AgentEventKind.ASKS:
            return worker.asks != (signal.detail[:500] or "a question")
        case AgentEventKind.TURN_FAILED:
            return worker.in_turn or not worker.turn_error
        case AgentEventKind.LIMITED:
            return not worker.limited
        case _:
            return True
