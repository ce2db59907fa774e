"""Turn what agents, tmux and files show into facts. Nothing here decides; a failed probe records nothing."""

import asyncio
import logging
from collections.abc import Sequence

from agentorchestr.agents.signals import read_hook
from agentorchestr.agents.tokens import count_tokens
from agentorchestr.agents.transcripts import find_transcript
from agentorchestr.errors import TmuxError, TmuxGone
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Fact, WorkerReported
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import SessionView, Tokens, WorkerView
from agentorchestr.process import lives, offload
from agentorchestr.supervisor.flags import read_flag, read_sentinel, use_up_flag
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.news import record_signal
from agentorchestr.supervisor.spool import Dropped, Spool, set_aside
from agentorchestr.supervisor.starts import START_LOOK_S, is_late, look_at_start
from agentorchestr.supervisor.turns import LAST_SCREEN_LINES, Turns, last_screen
from agentorchestr.tmux import panes
from agentorchestr.tmux.panes import PaneRow

logger = logging.getLogger(__name__)

TICK_S = 1.5
"""A dead pane is known within two seconds even when tmux's own hook does not come."""
DEAD_SCREEN_LINES = 200
TMUX_SAYS = "Pane is dead ("
STATUS_LOOKS = 5
STATUS_PAUSE_S = 0.05
ODD_INPUT = (ValueError, TypeError, LookupError, OSError, RecursionError)
"""What text from outside may come to. One agent's file must never keep us from all others."""


class Watcher:
    """Reads the spool when its bell rings, and all panes once per tick."""

    def __init__(self, gear: Gear, spool: Spool) -> None:
        self._gear = gear
        self._spool = spool
        self._turns = Turns(gear)
        self._tmux_gone_since: float | None = None

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
            except ODD_INPUT:
                logger.exception("hook not taken", extra={"worker_id": item.worker_id})
                await offload(set_aside, item.path)
            await offload(item.path.unlink, missing_ok=True)

    async def _take_hook(self, item: Dropped) -> None:
        worker = self._gear.view.workers.get(item.worker_id)
        if worker is None or item.payload is None:
            return
        spec = self._gear.catalogue[worker.agent]
        signal = read_hook(spec, item.payload)
        told = signal.transcript if signal is not None else ""
        self._turns.heard(worker.worker_id, payload=item.payload, transcript=told)
        if signal is None:
            return
        await record_signal(self._gear, worker.worker_id, signal, source="hook")
        if signal.kind in {AgentEventKind.TURN_ENDED, AgentEventKind.ENDED}:
            await self._count_tokens(worker.worker_id)

    async def _count_tokens(self, worker_id: str) -> None:
        worker = self._gear.view.workers[worker_id]
        try:
            tokens = await offload(self._tokens_of, worker)
        except ODD_INPUT:
            logger.exception("tokens not counted", extra={"worker_id": worker_id})
            return
        if tokens.known and tokens != worker.tokens:
            await self._gear.book.record(
                f.TokensCounted(worker_id, tokens.input, tokens.output, tokens.cached)
            )

    def _tokens_of(self, worker: WorkerView) -> Tokens:
        spec, env = self._gear.catalogue[worker.agent], self._gear.environment
        found = self._turns.transcript(worker.worker_id)
        transcript = found or find_transcript(spec, agent_session=worker.agent_session, env=env)
        return count_tokens(spec, transcript) if transcript is not None else Tokens()

    async def count_all_tokens(self) -> None:
        """Count once more at the end: a transcript is a moment behind the hook that tells of a turn's end."""
        for worker_id in tuple(self._gear.view.workers):
            await self._count_tokens(worker_id)

    async def _tick_for_ever(self) -> None:
        while True:
            await self._gear.clock.pause(TICK_S)
            await self.look_at_panes()
            for worker_id in tuple(self._gear.view.workers):
                await self.look_at_worker(worker_id)

    async def look_at_worker(self, worker_id: str) -> None:
        """Record what files, status and, last, the screen of one agent show."""
        worker = self._gear.view.workers[worker_id]
        if not worker.alive:
            return
        try:
            await self._look_closely(worker)
        except ODD_INPUT:
            logger.exception("worker not looked at", extra={"worker_id": worker.worker_id})

    async def look_at_panes(self) -> None:
        """Record the panes that died or are gone. tmux not answering is no proof of anything."""
        # Asked for first: an agent that starts while tmux lists its panes is in no list yet.
        workers = self._in_panes()
        try:
            rows = await self._list_panes(workers)
        except TmuxGone as exc:
            await self._tmux_is_gone(str(exc))
            return
        except TmuxError as exc:
            logger.warning("panes not listed", extra={"detail": str(exc)})
            return
        if not rows:
            # Our own window is always there: without any, the whole tmux session is gone.
            await self._tmux_is_gone("our tmux session is gone")
            return
        self._tmux_gone_since = None
        by_id = {row.pane_id: row for row in rows}
        for worker in workers:
            row = by_id.get(worker.pane_id)
            if row is None or row.dead:
                await self._pane_died(worker, row)

    async def _list_panes(self, workers: Sequence[WorkerView]) -> tuple[PaneRow, ...]:
        """All panes; tmux sees a closed terminal a moment before it learns how the program ended."""
        ours = {worker.pane_id for worker in workers}
        for _ in range(STATUS_LOOKS):
            rows = await offload(panes.list_panes, self._gear.tmux, self._gear.tmux_session)
            if not any(row.dead and row.dead_status is None and row.pane_id in ours for row in rows):
                break
            await self._gear.clock.pause(STATUS_PAUSE_S)
        return rows

    def _in_panes(self) -> list[WorkerView]:
        return [worker for worker in self._gear.view.workers.values() if worker.alive and worker.pane_id]

    async def _tmux_is_gone(self, why: str) -> None:
        """Ask the second witness: agents whose processes live are not dead. Believed after two looks."""
        now = self._gear.clock.monotonic()
        if self._tmux_gone_since is None:
            logger.warning("tmux is gone", extra={"detail": why})
            self._tmux_gone_since = now
        if self._gear.view.tmux_lost or now - self._tmux_gone_since < TICK_S:
            return
        gone = self._in_panes()
        for worker in gone:
            if await offload(lives, worker.pid, worker.pid_started):
                return
        # First that tmux is lost: nobody who waits for a death shall take these for the agents' own.
        deaths = [f.PaneDied(worker.worker_id, None, "", from_outside=True) for worker in gone]
        await self._gear.book.decide(lambda view: [] if view.tmux_lost else [f.TmuxLost(), *deaths])

    async def _pane_died(self, worker: WorkerView, row: PaneRow | None) -> None:
        screen = await offload(self._words_left, row.pane_id) if row is not None else ""
        report = await offload(self._report, worker, screen)
        status = row.dead_status if row is not None else None
        died = f.PaneDied(worker.worker_id, status, screen)

        def choose(view: SessionView) -> list[Fact]:
            now = view.workers[worker.worker_id]
            if not now.alive or now.pane_id != worker.pane_id:
                return []
            return [report, died] if report is not None and _is_open(now, worker) else [died]

        if await self._gear.book.decide(choose) and report is not None:
            await offload(use_up_flag, worker)

    def _words_left(self, pane_id: str) -> str:
        """What stands in a dead pane, without empty lines: its words may be far above tmux's own."""
        try:
            lines = panes.capture(self._gear.tmux, pane_id, tail_lines=DEAD_SCREEN_LINES)
        except TmuxError:
            return ""
        words = [line for line in lines if line.strip() and not line.startswith(TMUX_SAYS)]
        return "\n".join(words[-LAST_SCREEN_LINES:])

    def _report(self, worker: WorkerView, screen: str) -> WorkerReported | None:
        """What an agent without MCP said by its flag file or a line on its screen."""
        if worker.is_lead or worker.report is not None:
            return None
        return read_flag(worker) or read_sentinel(worker, screen)

    async def _look_closely(self, worker: WorkerView) -> None:
        has_mcp = self._gear.catalogue[worker.agent].mcp is not None
        looks = not has_mcp or is_late(self._gear, worker, limit_s=START_LOOK_S)
        screen = await offload(last_screen, self._gear, worker.pane_id) if looks else None
        report = await offload(self._report, worker, "" if has_mcp else screen or "")
        if report is not None:
            told = report
            # The flag goes when the report is stored; one that a crash leaves carries a used-up nonce.
            await self._gear.book.decide(
                lambda view: [told] if _is_open(view.workers[worker.worker_id], worker) else []
            )
            await offload(use_up_flag, worker)
        if looks and not worker.prompt_taken:
            await look_at_start(self._gear, worker, screen or "")
        await self._turns.check(worker)


def _is_open(now: WorkerView, then: WorkerView) -> bool:
    """Whether a report read for *then* still answers the worker's task of *now*."""
    return now.alive and now.report is None and now.report_nonce == then.report_nonce
