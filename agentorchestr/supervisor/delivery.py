"""Give agents their next line: only when it is safe to type, and with proof that a turn began."""

import asyncio
import logging

from agentorchestr.agents.spec import PromptBy
from agentorchestr.errors import PaneGone, TmuxError
from agentorchestr.model import facts as f
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor.bells import Bell, Stall, due, patience_s
from agentorchestr.supervisor.composer import Clear, Composer, Held
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.queueing import QUEUE, has_queue, put_in_queue
from agentorchestr.supervisor.spawner import first_line

logger = logging.getLogger(__name__)

PROOF_S = 10.0
"""How long a turn may take to show itself after Enter."""
HOLDS_S = (0.1, 0.2, 0.5, 1.0)
"""How soon a held line is looked at again: a draft or a dialog ends without an event."""
NO_LONGER_DUE = "no longer due"
TOLD_AFTER = 2
"""A hold that is met so often is no passing moment: it is written down."""


class Delivery:
    """One courier per agent, so that a slow pane never holds up another."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._couriers: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Start a courier for each agent as it appears; runs until cancelled."""
        async with asyncio.TaskGroup() as couriers:
            while True:
                seq = self._gear.view.last_seq
                for worker_id in tuple(self._gear.view.workers):
                    task = self._couriers.get(worker_id)
                    if task is None or task.done():
                        self._couriers[worker_id] = couriers.create_task(self._serve_one(worker_id))
                await self._gear.book.next_after(seq)

    async def _serve_one(self, worker_id: str) -> None:
        book, holds = self._gear.book, 0
        while True:
            seq = book.view.last_seq
            what = self._due(book.view, worker_id)
            wait_s = patience_s(book.view.workers[worker_id], what, now=self._gear.clock.now()) if what else 0
            if wait_s:
                await book.next_after(seq, timeout_s=wait_s)
            elif isinstance(what, Stall):
                await book.record(f.WorkerStalled(worker_id, what.why))
            elif isinstance(what, Bell):
                held = await self._ring(what)
                holds = holds + 1 if held is not None else 0
                if held is not None:
                    await self._hold(what, held, holds)
            else:
                await book.next_after(seq)

    async def _hold(self, bell: Bell, held: Held, holds: int) -> None:
        """Wait a little; what holds a line for longer is a fact."""
        fact = f.LineHeld(bell.worker_id, bell.why, held.why)
        if holds >= TOLD_AFTER:
            await self._gear.book.decide(
                lambda view: [fact] if view.workers[bell.worker_id].held != held.why else []
            )
        await self._gear.clock.pause(HOLDS_S[min(holds, len(HOLDS_S)) - 1])

    def _due(self, view: SessionView, worker_id: str) -> Bell | Stall | None:
        worker = view.workers[worker_id]
        spec = self._gear.catalogue[worker.agent]
        tool = spec.tool_name("wait_for_any" if worker.is_lead else "get_brief")
        brief = self._gear.folder / "briefs" / f"{worker_id}.md"
        line = first_line(brief) if spec.prompt_by is PromptBy.TYPED else ""
        return due(view, worker, tool_name=tool, first_line=line)

    async def _ring(self, bell: Bell) -> Held | None:
        """Give the bell's line if that is safe: typed, or queued where only a person is in the way."""
        gear, worker = self._gear, self._gear.view.workers[bell.worker_id]
        spec = gear.catalogue[worker.agent]
        composer = Composer(gear, worker, spec)
        try:
            clear = await offload(composer.may_type, bell.line)
            queued = isinstance(clear, Held) and clear.by_person and has_queue(worker, spec)
            if isinstance(clear, Held) and not queued:
                return clear
            # What came in meanwhile is told with it, unless the older line stands there already.
            stands = isinstance(clear, Clear) and clear.stands
            fresh = bell if stands else self._due(gear.view, worker.worker_id)
            if not isinstance(fresh, Bell):
                return Held(NO_LONGER_DUE)
            # Written down first: after a crash between the two, the bell is known to have been tried.
            channel = QUEUE if queued else str(spec.typing.method)
            await gear.book.record(f.DoorbellRung(worker.worker_id, fresh.why, channel))
            if isinstance(clear, Clear):
                held = await offload(composer.give, fresh.line, clear)
            else:
                held = await offload(put_in_queue, gear, worker, spec, fresh.line)
            if held is not None:
                return held
            await gear.book.record(f.LineGiven(worker.worker_id, fresh.why, channel, fresh.message_ids))
            await self._prove(worker, composer, fresh.line)
        except (PaneGone, TmuxError) as exc:
            logger.warning("line not typed", extra={"worker_id": worker.worker_id, "detail": str(exc)})
            return Held(str(exc))
        return None

    async def _prove(self, worker: WorkerView, composer: Composer, line: str) -> None:
        """Wait for the turn to show itself; Enter once more if the line still stands in the composer."""
        turns = worker.turns

        def began(view: SessionView) -> bool:
            now = view.workers[worker.worker_id]
            return now.turns > turns or now.in_turn or not now.alive

        if await self._gear.book.wait_until(began, timeout_s=PROOF_S / 4):
            return
        if await offload(composer.press_again, line):
            logger.warning("enter repeated", extra={"worker_id": worker.worker_id})
        await self._gear.book.wait_until(began, timeout_s=PROOF_S)
