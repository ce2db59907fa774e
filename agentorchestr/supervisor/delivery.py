"""Give agents their next line: only when it is safe to type, and with proof that a turn began."""

import asyncio
import logging
import re
from dataclasses import dataclass

from agentorchestr.agents.screens import ScreenState, classify, composer_text
from agentorchestr.agents.signals import read_status_file
from agentorchestr.agents.spec import AgentSpec, PromptBy
from agentorchestr.agents.typed_text import sanitise
from agentorchestr.errors import PaneGone, TmuxError
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor.bells import Bell, Stall, due, patience_s
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.spawner import first_line
from agentorchestr.tmux import panes, typing

logger = logging.getLogger(__name__)

PROOF_S = 10.0
"""How long a turn may take to show itself after Enter."""
ESCAPES = re.compile(
    r"\x1b\[[0-9;:]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\x1b[()][A-Z0-9]|[\x0e\x0f]"
)
HELD_S = 1.0
"""How often a held line is looked at again: a draft or a dialog ends without an event."""


@dataclass(frozen=True)
class Held:
    """Why nothing may be typed now."""

    why: str


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
        book = self._gear.book
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
                if held is not None:
                    await book.next_after(seq, timeout_s=HELD_S)
            else:
                await book.next_after(seq)

    def _due(self, view: SessionView, worker_id: str) -> Bell | Stall | None:
        worker = view.workers[worker_id]
        spec = self._gear.catalogue[worker.agent]
        tool = spec.tool_name("wait_for_any" if worker.is_lead else "get_brief")
        brief = self._gear.folder / "briefs" / f"{worker_id}.md"
        line = first_line(brief) if spec.prompt_by is PromptBy.TYPED else ""
        return due(view, worker, tool_name=tool, first_line=line)

    async def _ring(self, bell: Bell) -> Held | None:
        """Type the bell's line if that is safe; None when it was typed."""
        worker = self._gear.view.workers[bell.worker_id]
        spec = self._gear.catalogue[worker.agent]
        try:
            held = await offload(self._may_type, worker, spec)
            if held is not None or self._due(self._gear.view, worker.worker_id) != bell:
                return held or Held("no longer due")
            # Written down first: after a crash between the two, the bell is known to have been tried.
            await self._gear.book.record(f.DoorbellRung(worker.worker_id, bell.why))
            await offload(type_into, self._gear, worker, spec, bell.line)
            await self._prove(worker, spec, bell.line)
        except (PaneGone, TmuxError) as exc:
            logger.warning("line not typed", extra={"worker_id": worker.worker_id, "detail": str(exc)})
            return Held(str(exc))
        return None

    def _may_type(self, worker: WorkerView, spec: AgentSpec) -> Held | None:
        """Look at the agent right now. Text typed into an open question approves it; into a shell, runs."""
        rows = panes.list_panes(self._gear.tmux, self._gear.tmux_session)
        row = next((row for row in rows if row.pane_id == worker.pane_id), None)
        if row is None or row.dead:
            return Held("its pane is gone")
        if row.in_mode:
            return Held("a person scrolls in its pane")
        status = read_status_file(spec, worker.pid, self._gear.environment)
        if status is not None and status.kind is not AgentEventKind.TURN_ENDED:
            return Held(f"its status file says {status.kind}")
        screen = panes.capture(self._gear.tmux, worker.pane_id, tail_lines=60, colours=True)
        return held_by_screen(spec, screen)

    async def _prove(self, worker: WorkerView, spec: AgentSpec, line: str) -> None:
        """Wait for the turn to show itself; Enter once more if the line still stands in the composer."""
        turns = worker.turns

        def began(view: SessionView) -> bool:
            now = view.workers[worker.worker_id]
            return now.turns > turns or now.in_turn or not now.alive

        if await self._gear.book.wait_until(began, timeout_s=PROOF_S / 4):
            return
        if await offload(self._still_in_composer, worker, spec, line):
            logger.warning("enter repeated", extra={"worker_id": worker.worker_id})
            await offload(typing.press, self._gear.tmux, worker.pane_id, "Enter")
        await self._gear.book.wait_until(began, timeout_s=PROOF_S)

    def _still_in_composer(self, worker: WorkerView, spec: AgentSpec, line: str) -> bool:
        """Whether it is our line that stands there: Enter on a person's draft would send it."""
        screen = panes.capture(self._gear.tmux, worker.pane_id, tail_lines=60, colours=True)
        busy = classify(spec, plain(screen)) in {ScreenState.ASKS, ScreenState.BUSY}
        standing = "".join((composer_text(spec, screen) or "").split())
        return not busy and bool(standing) and "".join(sanitise(spec, line).split()).startswith(standing[:60])


def held_by_screen(spec: AgentSpec, screen: tuple[str, ...]) -> Held | None:
    """What on the screen forbids typing: a question, a running turn, a person's draft."""
    state = classify(spec, plain(screen))
    if state in {ScreenState.ASKS, ScreenState.BUSY}:
        return Held(f"its screen shows {state}")
    draft = composer_text(spec, screen)
    if draft:
        return Held("a draft stands in its composer")
    if draft is None and state is not ScreenState.READY:
        return Held("its screen is not known to be ready")
    return None


def plain(screen: tuple[str, ...]) -> tuple[str, ...]:
    """*screen* without colour escapes."""
    return tuple(ESCAPES.sub("", line) for line in screen)


def type_into(gear: Gear, worker: WorkerView, spec: AgentSpec, line: str) -> None:
    """Type one line the way this agent takes it exactly."""
    text = sanitise(spec, line)
    how = spec.typing
    if how.method == "paste":
        typing.paste_line(gear.tmux, worker.pane_id, text, enter_pause_s=how.enter_pause_s)
        return
    typing.type_line(
        gear.tmux,
        worker.pane_id,
        text,
        piece_chars=how.piece_chars,
        pause_s=how.pause_s,
        enter_pause_s=how.enter_pause_s,
    )
