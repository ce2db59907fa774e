"""Find turns in which nothing moves any more: by what an agent does, never by the clock alone.

A hook, a transcript that grows, a program that starts, ends or works, a commit: each is a sign of life.
Without any for long a worker is told to the lead, once. A tool that runs, or a quiet time that the worker
announced, is respected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.agents.signals import AgentSignal
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Fact
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import Activity, activity, offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.news import record_signal
from agentorchestr.supervisor.witnesses import IDLE_CPU_SHARE, SILENT_S

QUIET_S = SILENT_S + 120.0
"""So long may nothing of a turn move; a screen that nobody knows is told before, and not again by this."""
TOOL_QUIET_S = 3600.0
"""The same while a tool of the agent runs, such as a test suite that waits for something."""
SAMPLE_S = 20.0
MINUTE_S = 60.0
TOOL_BEGINS = frozenset({"PreToolUse", "BeforeTool"})
HEADS = ("HEAD", "index", "logs/HEAD")


@dataclass(frozen=True)
class Sample:
    """What shows that an agent does something, at one moment."""

    at: float
    """Monotonic seconds."""
    pid: int
    transcript_bytes: int = 0
    activity: Activity | None = None
    work: tuple[int, ...] = ()
    """When its branch and index were last written."""


def moved(before: Sample, now: Sample) -> bool:
    """Whether anything but the screen happened between the two."""
    if (before.pid, before.transcript_bytes, before.work) != (now.pid, now.transcript_bytes, now.work):
        return True
    if before.activity is None or now.activity is None:
        return before.activity != now.activity
    took_s = now.activity.cpu_s - before.activity.cpu_s
    return now.activity.pids != before.activity.pids or took_s > IDLE_CPU_SHARE * (now.at - before.at)


@dataclass
class _Watch:
    """What is remembered of one worker's turn."""

    sample: Sample
    moved_at: float
    tool: str = ""
    """The tool that runs, by its name; empty when none does."""
    told: bool = False
    """This silence was told: whoever has to look knows."""


class Stalls:
    """Watches the turns of workers. The lead has rules of its own."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._watched: dict[str, _Watch] = {}

    def heard(self, worker_id: str, payload: Mapping[str, object]) -> None:
        """Take a hook as a sign of life; the one before a tool tells that it runs until the next one."""
        watch = self._watched.get(worker_id)
        if watch is None:
            return
        begins = payload.get("hook_event_name") in TOOL_BEGINS
        watch.tool = str(payload.get("tool_name") or "a tool") if begins else ""
        watch.moved_at, watch.told = self._gear.clock.monotonic(), False

    async def check(self, worker: WorkerView, transcript: Path | None) -> None:
        """Look whether anything moved since the last look; tell the lead of a turn in which nothing does."""
        name, now = worker.worker_id, self._gear.clock.monotonic()
        if worker.is_lead or not worker.in_turn or worker.asks:
            self._watched.pop(name, None)
            return
        watch = self._watched.get(name)
        if watch is not None and now - watch.sample.at < SAMPLE_S:
            return
        sample = await offload(take_sample, worker, transcript, now)
        if watch is None:
            self._watched[name] = _Watch(sample, now)
            return
        if moved(watch.sample, sample):
            watch.moved_at, watch.told = now, False
        watch.sample = sample
        await self._conclude(worker, watch, quiet_s=now - watch.moved_at)

    async def _conclude(self, worker: WorkerView, watch: _Watch, *, quiet_s: float) -> None:
        if worker.stalled and quiet_s < SAMPLE_S:
            known = AgentSignal(AgentEventKind.ACTIVE, "something moves again")
            await record_signal(self._gear, worker.worker_id, known, source="processes")
            return
        announced = worker.quiet_until > self._gear.clock.now()
        if watch.told or announced or quiet_s < (TOOL_QUIET_S if watch.tool else QUIET_S):
            return
        during = f" while {watch.tool} runs" if watch.tool else ""
        why = (
            f"in a turn, but nothing moved for {quiet_s / MINUTE_S:.0f} min{during}: "
            "no hook, no transcript, no program, no commit"
        )

        def choose(view: SessionView) -> list[Fact]:
            # One fact for one silence: whoever has to look was told already.
            now = view.workers[worker.worker_id]
            quiet = now.in_turn and now.alive and not (now.stalled or now.unclear or now.asks)
            return [f.WorkerStalled(worker.worker_id, why)] if quiet else []

        watch.told = True
        await self._gear.book.decide(choose)


def take_sample(worker: WorkerView, transcript: Path | None, at: float) -> Sample:
    """Read the witnesses, screen aside; what cannot be read shows nothing."""
    marker = Path(worker.worktree) / ".git"
    work: list[int] = []
    try:
        admin = Path(marker.read_text().partition("gitdir: ")[2].strip())
        work = [(admin / name).stat().st_mtime_ns for name in HEADS if (admin / name).exists()]
    except (OSError, ValueError):
        work = []
    try:
        size = transcript.stat().st_size if transcript is not None else 0
    except (OSError, ValueError):
        size = 0
    return Sample(at, worker.pid, size, activity(worker.pid), tuple(work))
