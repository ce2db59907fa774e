"""One run: a session is started, killed where the plan says, resumed as a person would, and judged."""

import time
from dataclasses import dataclass, field

from agentorchestr.clock import until
from agentorchestr.journal.reducer import step
from agentorchestr.journal.store import FILE_NAME
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView
from agentorchestr.mqtt.broker import broker_folder, is_it, read_record
from agentorchestr.process import lives
from scripts.chaos.crash_audit import Found, judge
from scripts.chaos.crash_home import GOAL, Home
from scripts.chaos.crash_kills import Killer
from scripts.chaos.crash_plan import Plan, Victim

LIMIT_S = 300.0
MOST_RESUMES = 6
REREAD_S = 0.05
TAKES_ALL = frozenset({Victim.TMUX, Victim.ALL})
FINAL = frozenset(Outcome) - {Outcome.PAUSED}


@dataclass
class Recovery:
    """How long it takes until what was lost with the first kill works again."""

    began: float
    waits: set[str]
    """``supervisor``, ``broker``, worker ids."""
    needs_person: bool
    took_s: float | None = None

    def resumed(self, now: float) -> None:
        """A person typed ``--resume``; from here on it counts."""
        if self.needs_person and self.took_s is None:
            self.needs_person, self.began = False, now

    def back(self, who: str, at: float) -> None:
        """One of what was lost is there again."""
        if who in self.waits:
            self.waits.discard(who)
            if not self.waits:
                self.took_s = max(0.0, at - self.began)


@dataclass
class Run:
    """A session under way in *home*, seen through its journal."""

    home: Home
    plan: Plan
    recorded: list[Recorded] = field(default_factory=list)
    view: SessionView | None = None
    doubled: list[str] = field(default_factory=list)
    resumes: int = 0
    recovery: Recovery | None = None
    _stamp: tuple[int, int] = (0, 0)
    _read_at: float = 0.0

    def __post_init__(self) -> None:
        self.killer = Killer(self.home, self.plan)
        self._left = list(self.plan.kills)
        self._due = self._left[0].at if self._left else 0

    def play(self) -> Found:
        """Run it to its end and judge it; ``Found.notes`` says so when it has none."""
        ends_at = time.monotonic() + LIMIT_S
        self.killer.command = self.home.start(*GOAL)
        while time.monotonic() < ends_at and not self._over():
            until(self._moved, within_s=REREAD_S, every_s=0.004)
            self._read()
            self._kill_what_is_due()
            self._look_for_broker()
            if self.resumes > MOST_RESUMES:
                break
        return judge(self)

    @property
    def exit_code(self) -> int | None:
        """How the last command ended; None while it runs."""
        return None if self.killer.command is None else self.killer.command.poll()

    def _over(self) -> bool:
        """Whether the command ended with the session; a session that goes on without one is resumed."""
        if self.killer.command is None or self.killer.command.poll() is None:
            return False
        self._read()
        if self.view is None or self.view.outcome in FINAL:
            return True
        self.resumes += 1
        if self.recovery is not None:
            self.recovery.resumed(time.time())
        self.killer.command = self.home.start("--resume", "--no-attach")
        return False

    def _moved(self) -> bool:
        """Whether the journal may have grown: by its file, and now and then in any case."""
        wal = self.home.paths.session(self.home.session_id()) / f"{FILE_NAME}-wal"
        try:
            found = wal.stat()
        except OSError:
            return False
        stamp = (found.st_mtime_ns, found.st_size)
        moved = stamp != self._stamp
        self._stamp = stamp
        return moved

    def _read(self) -> None:
        for each in self.home.facts(after=len(self.recorded)):
            if isinstance(each.fact, f.PaneOpened):
                self._opened(each.fact)
            self.view = step(self.view, each)
            self.recorded.append(each)
            self._seen_back(each)
        if self.view is not None and self.view.supervisor_pid:
            self.killer.look()

    def _opened(self, fact: f.PaneOpened) -> None:
        before = self.view.workers[fact.worker_id] if self.view is not None else None
        if before is not None and before.alive:
            self.doubled.append(f"{fact.worker_id} was opened twice")
        older = [each.fact for each in self.recorded if isinstance(each.fact, f.PaneOpened)]
        for one in older:
            if one.worker_id == fact.worker_id and lives(one.pid, one.pid_started):
                self.doubled.append(f"{fact.worker_id} lives as {one.pid} and as {fact.pid}")

    def _kill_what_is_due(self) -> None:
        if not self._left or self.view is None or self.view.last_seq < self._due:
            return
        first, kill = not self.killer.done, self._left[0]
        view, now = self.view, time.time()
        alive = {worker.worker_id for worker in view.workers.values() if worker.alive and not worker.report}
        hit = len(self.killer.hit)
        if not [victim for victim in kill.victims if self.killer.kill(victim, view)]:
            return  # nobody there yet: it stays due
        self._left.pop(0)
        if self._left:
            self._due = view.last_seq + self._left[0].at if self._left[0].after else self._left[0].at
        if first:
            waits = self._lost(set(kill.victims), alive, set(self.killer.hit[hit:]))
            person = bool(TAKES_ALL & set(kill.victims))
            self.recovery = Recovery(now, waits, needs_person=person) if waits else None

    def _lost(self, victims: set[Victim], alive: set[str], hit: set[str]) -> set[str]:
        waits = alive if TAKES_ALL & victims else hit & alive
        if victims & {Victim.SUPERVISOR, *TAKES_ALL}:
            waits = waits | {"supervisor"}
        return waits | {"broker"} if victims & {Victim.BROKER, Victim.ALL} else waits

    def _seen_back(self, each: Recorded) -> None:
        if self.recovery is None or each.at < self.recovery.began:
            return
        if isinstance(each.fact, f.SupervisorStarted):
            self.recovery.back("supervisor", each.at)
        elif isinstance(each.fact, f.AgentReady):
            self.recovery.back(each.fact.worker_id, each.at)

    def _look_for_broker(self) -> None:
        if self.recovery is not None and "broker" in self.recovery.waits and not self.recovery.needs_person:
            record = read_record(broker_folder(self.home.paths))
            if record is not None and is_it(record.pid, record.started):
                self.recovery.back("broker", time.time())
