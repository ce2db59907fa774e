"""Watch turns by what hooks do not tell: status files, transcripts and, last, screens."""

from collections.abc import Mapping
from pathlib import Path

from agentorchestr.agents.screens import classify
from agentorchestr.agents.signals import AgentSignal, read_rollout, read_status_file
from agentorchestr.errors import TmuxError
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import WorkerView
from agentorchestr.process import activity, offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.news import record_signal
from agentorchestr.supervisor.stalls import Stalls
from agentorchestr.supervisor.witnesses import ENDS, SILENT_S, UNHEARD_STILL_S, Finding, Look, compare
from agentorchestr.tmux import panes

LAST_SCREEN_LINES = 40
DOUBTS = {Finding.NOT_KNOWN, Finding.UNREADABLE, Finding.CONTRADICTED}


class Turns:
    """What is remembered of each agent's turn from one tick to the next."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._transcripts: dict[str, Path] = {}
        self._suspected: dict[str, AgentEventKind] = {}
        self._heard: dict[str, float] = {}
        self._looks: dict[str, Look] = {}
        self._stalls = Stalls(gear)

    def heard(self, worker_id: str, *, payload: Mapping[str, object], transcript: str = "") -> None:
        """Remember that a hook of this agent came, whatever it told, and where its transcript is."""
        self._heard[worker_id] = self._gear.clock.monotonic()
        self._stalls.heard(worker_id, payload)
        if transcript and "\0" not in transcript:
            self._transcripts[worker_id] = Path(transcript)

    def transcript(self, worker_id: str) -> Path | None:
        """The transcript that its hooks named last."""
        return self._transcripts.get(worker_id)

    async def check(self, worker: WorkerView) -> None:
        """Ask the second witness, for what hooks do not tell: interrupts, refusals, failed turns, silence."""
        await self._stalls.check(worker, self.transcript(worker.worker_id))
        spec = self._gear.catalogue[worker.agent]
        signal = await offload(read_status_file, spec, worker.pid, self._gear.environment)
        source = "status file"
        transcript = self.transcript(worker.worker_id)
        if signal is None and worker.in_turn and transcript is not None:
            signal, source = await offload(read_rollout, spec, transcript), "transcript"
        if signal is None:
            self._suspected.pop(worker.worker_id, None)
            await self._look_at_turn(worker)
            return
        self._looks.pop(worker.worker_id, None)
        # Twice the same, a tick apart: a hook of the very same moment may still be on its way.
        if self._suspected.get(worker.worker_id) is not signal.kind:
            self._suspected[worker.worker_id] = signal.kind
            return
        await record_signal(self._gear, worker.worker_id, signal, source=source)

    async def _look_at_turn(self, worker: WorkerView) -> None:
        """Look at a turn whose end is waited for, or which gave no sign for long; the screen comes last."""
        name = worker.worker_id
        silent = self._silent_s(worker) >= SILENT_S
        # An agent without hooks has no better witness than its screen.
        unheard = self._gear.catalogue[worker.agent].hooks is None
        if not worker.in_turn or not (unheard or silent or worker.unclear or self._is_awaited(worker)):
            self._looks.pop(name, None)
            return
        before, now = self._looks.get(name), await offload(self._look, worker)
        if before is not None and now.transcript_bytes > before.transcript_bytes:
            self._heard[name] = now.at
        still_s = UNHEARD_STILL_S if unheard else 0.0
        finding, self._looks[name] = compare(before, now, silent_s=self._silent_s(worker), still_s=still_s)
        await self._conclude(worker, finding, now)

    async def _conclude(self, worker: WorkerView, finding: Finding, now: Look) -> None:
        gear, name = self._gear, worker.worker_id
        if finding is Finding.ENDED and now.screen is not None:
            ended = AgentSignal(ENDS[now.screen], "its screen shows no turn")
            await record_signal(gear, name, ended, source="screen")
        elif finding is Finding.ASKS and not worker.asks:
            # Another tool of the same turn went on, and with it the hook's word of the question.
            asks = AgentSignal(AgentEventKind.ASKS, finding.value)
            await record_signal(gear, name, asks, source="screen")
        elif finding is Finding.GOES_ON and worker.unclear:
            known = AgentSignal(AgentEventKind.ACTIVE, "its screen is known again")
            await record_signal(gear, name, known, source="screen")
        elif finding in DOUBTS and not worker.unclear and worker.quiet_until <= gear.clock.now():
            doubt = f.WorkerUnclear(name, finding.value)
            await gear.book.decide(lambda view: [doubt] if view.workers[name].in_turn else [])

    def _silent_s(self, worker: WorkerView) -> float:
        """How long a turn has given no sign; a turn is first seen when it begins, or when we do."""
        now = self._gear.clock.monotonic()
        if not worker.in_turn:
            self._heard.pop(worker.worker_id, None)
            return 0.0
        return now - self._heard.setdefault(worker.worker_id, now)

    def _look(self, worker: WorkerView) -> Look:
        shown = last_screen(self._gear, worker.pane_id)
        spec = self._gear.catalogue[worker.agent]
        state = None if shown is None else classify(spec, shown.splitlines())
        # The process table is read only when the screen claims an end: it costs more than the screen.
        return Look(
            at=self._gear.clock.monotonic(),
            pid=worker.pid,
            screen=state,
            transcript_bytes=_size(self.transcript(worker.worker_id)),
            activity=activity(worker.pid) if state in ENDS else None,
        )

    def _is_awaited(self, worker: WorkerView) -> bool:
        """Whether somebody waits for this turn's end: a lost hook must not keep a message for ever."""
        view = self._gear.view
        unread = bool(view.unread_of(worker.worker_id))
        return worker.in_turn and (unread or (worker.is_lead and bool(view.unread_events)))


def last_screen(gear: Gear, pane_id: str) -> str | None:
    """What stands in the pane; None when it cannot be read."""
    try:
        return "\n".join(panes.capture(gear.tmux, pane_id, tail_lines=LAST_SCREEN_LINES))
    except TmuxError:
        return None


def _size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path is not None else 0
    except OSError:
        return 0
