"""One session, from its first fact to its last: the tasks that live together, and the end of them."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from agentorchestr.errors import StaleGeneration
from agentorchestr.model import facts as f
from agentorchestr.model.states import LEAD, Outcome
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload, start_time
from agentorchestr.supervisor import manual
from agentorchestr.supervisor.delivery import Delivery
from agentorchestr.supervisor.finishing import ending, finish
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.integration import Integration
from agentorchestr.supervisor.office import Office
from agentorchestr.supervisor.post import Carrier, Post
from agentorchestr.supervisor.reading import last_words
from agentorchestr.supervisor.reviving import Quarantine, Revive, what_next
from agentorchestr.supervisor.spawner import Order, Spawner, unfinished
from agentorchestr.supervisor.spool import Spool
from agentorchestr.supervisor.statusline import keep_status_line
from agentorchestr.supervisor.stock import take_stock
from agentorchestr.supervisor.watcher import Watcher
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import branch_tip, create_branch

logger = logging.getLogger(__name__)

Part = Callable[[], Coroutine[Any, Any, None]]

UNATTENDED_S = 120.0
"""How long a lead that does not act is waited for while no terminal shows the session."""
UNANSWERED_S = 3600.0
"""The same for a question that only a person can answer."""
LONGEST_PAUSE_S = 30.0
REPLY_GRACE_S = 0.3
"""Lets the tool call that ended the session get its answer before its agent is ended."""
LAST_WORDS_S = 30.0
"""How long an agent that runs as our child may go on after its report: nobody sees it otherwise."""
LEDGER_S = 5.0
LEAD_TASK = "lead the session"


class Session:
    """Puts the parts together and runs them until the goal is marked, stopped, or out of time."""

    def __init__(
        self,
        gear: Gear,
        pool: WorktreePool,
        *,
        spawner: Spawner | None = None,
        in_panes: bool = True,
        carrier: Carrier | None = None,
    ) -> None:
        self._gear = gear
        self._pool = pool
        self._in_panes = in_panes
        self._spawner = spawner or Spawner(gear, pool)
        self._integration = Integration(gear)
        self._spool = Spool(gear.spool)
        self._watcher = Watcher(gear, self._spool)
        self._delivery = Delivery(gear)
        self._post = Post(gear, carrier) if carrier is not None else None
        self._tasks: asyncio.TaskGroup | None = None
        self._spawns: set[asyncio.Task[None]] = set()
        self._reviving: set[str] = set()
        # Living agents hold the address of the supervisor before us.
        self._moved = gear.view.port not in {0, gear.port}
        self.office = Office(
            gear,
            spawner=self._spawner,
            integration=self._integration,
            start=self._start_worker,
            post=self._post,
        )

    async def run(self) -> Outcome:
        """Run to the end and name it. Raises ``StaleGeneration`` when a newer supervisor took over."""
        if self._gear.view.outcome is None:
            await self._clear_away()
            await self._live()
            await self._watcher.count_all_tokens()
            await finish(self._gear, integration=self._integration, pool=self._pool)
        return self._gear.view.outcome or Outcome.CANCELLED

    async def announce(self) -> None:
        """Record that this process looks after the session, and see that its branch is there."""
        pid = os.getpid()
        started = await offload(start_time, pid) or 0.0
        gear = self._gear
        before = await gear.book.facts(after=0, limit=-1)
        unsure = last_words(before, generation=gear.view.generation)
        await gear.book.record(*unsure, f.SupervisorStarted(gear.book.generation, pid, started, gear.port))
        if await offload(branch_tip, gear.repository, gear.view.integration_branch) is None:
            await offload(
                create_branch,
                gear.repository,
                gear.view.integration_branch,
                gear.view.last_merged or gear.created.base_commit,
            )

    async def _clear_away(self) -> None:
        """End what an older supervisor had begun and nobody waits for any more: checks, half-made spawns."""
        if self._gear.book.generation > 1:
            await self._integration.checks.clear_away()
            await take_stock(self._gear, self._spawner, moved=self._moved)

    async def _live(self) -> None:
        self._spool.listen()
        panes = (self._watcher.serve, self._delivery.serve, self._keep_status)
        shown = (*panes, self._give_up, self._keep_team)
        always = (self._integration.serve, self._keep_pool, self._steer, self._keep_ledger)
        unseen = (self._watcher.follow_spool,)
        talking = (self._post.serve,) if self._post is not None else ()
        parts: tuple[Part, ...] = (*always, *talking, *(shown if self._in_panes else unseen))
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                running = [tasks.create_task(self._guarded(part)) for part in parts]
                for worker_id in () if self._gear.view.ending else unfinished(self._gear.view):
                    self._start_worker(worker_id)
                await self._until_marked()
                for task in running:
                    task.cancel()
                await self._gear.clock.pause(REPLY_GRACE_S)
                await self._end_programs()
        finally:
            self._tasks = None
            self._spool.close()

    async def _guarded(self, part: Part) -> None:
        """Keep one part's fault from ending the session: the part starts anew, later each time."""
        faults = 0
        while True:
            began = self._gear.clock.monotonic()
            if await self._fault_of(part()) is None:
                return
            lasted = self._gear.clock.monotonic() - began
            faults = faults + 1 if lasted < LONGEST_PAUSE_S else 0
            await self._gear.clock.pause(min(2.0**faults, LONGEST_PAUSE_S))

    async def _fault_of(self, work: Coroutine[Any, Any, None]) -> Exception | None:
        """Run *work*; what went wrong is logged and returned, unless a newer supervisor took over."""
        try:
            await work
        except Exception as exc:
            if _is_stale(exc):
                raise
            logger.exception("a part of the session failed")
            return exc
        return None

    async def _until_marked(self) -> None:
        """Wait for the goal to be marked; a stop and the time limit mark it."""
        gear = self._gear
        while gear.view.goal_marked is None:
            limit_s = gear.view.limit_s
            left = gear.view.limit_from + limit_s - gear.clock.now() if limit_s else 3600.0
            await gear.book.wait_until(lambda view: view.ending, timeout_s=max(0.0, left))
            mark = ending(gear.view, now=gear.clock.now())
            if mark is not None:
                await self._mark(mark)

    async def _mark(self, mark: f.GoalMarked) -> None:
        await self._gear.book.decide(lambda view: [mark] if view.goal_marked is None else [])

    async def _end_programs(self) -> None:
        """End agents, set-ups and checks: the next check may begin where one was ended."""
        if not self._in_panes and self._spawns and not self._gear.view.stop_asked:
            await asyncio.wait(self._spawns, timeout=LAST_WORDS_S)
        await self._spawner.end_all()
        while self._spawns or self._integration.checks.running:
            await self._gear.clock.pause(0.1)
            await self._spawner.end_all()

    def _start_worker(self, worker_id: str) -> None:
        if self._tasks is not None:
            spawn = self._tasks.create_task(self._spawn(worker_id))
            self._spawns.add(spawn)
            spawn.add_done_callback(self._spawns.discard)

    async def _spawn(self, worker_id: str) -> None:
        fault = await self._fault_of(self._spawn_when_it_fits(worker_id))
        if fault is not None:
            await self._gear.book.record(f.SpawnFailed(worker_id, f"a fault of ours: {type(fault).__name__}"))

    async def _spawn_when_it_fits(self, worker_id: str) -> None:
        if await self._spawner.admission.admit(worker_id):
            await self._spawner.carry_out(worker_id)

    async def _steer(self) -> None:
        if not self._gear.created.manual:
            return
        if not self._gear.view.workers:
            created = self._gear.created
            order = Order(manual.WORKER, created.role, created.worker_agents[0], created.goal)
            await self._gear.book.record(self._spawner.intent(order))
            self._start_worker(manual.WORKER)
        await manual.steer(self._gear, self._integration, comes_back=self._in_panes)

    async def _keep_team(self) -> None:
        """Start the lead, and start again whoever ended without being asked to: in its own conversation."""
        gear = self._gear
        while not gear.view.ending:
            seq = gear.view.last_seq
            if gear.view.lead is None and not gear.created.manual:
                await gear.book.record(
                    self._spawner.intent(Order(LEAD, "lead", gear.created.lead_agent, LEAD_TASK))
                )
                self._start_worker(LEAD)
            for worker in tuple(gear.view.workers.values()):
                await self._look_after(worker)
            await gear.book.next_after(seq)

    async def _look_after(self, worker: WorkerView) -> None:
        match what_next(self._gear.view, worker):
            case Revive(pause_s=pause_s) if (
                worker.worker_id not in self._reviving and self._tasks is not None
            ):
                self._reviving.add(worker.worker_id)
                self._tasks.create_task(self._revive(worker.worker_id, pause_s))
            case Quarantine(why=why) if worker.is_lead:
                await self._mark(f.GoalMarked(Outcome.FAILED, f"the lead cannot go on: {why}"))
            case Quarantine(why=why):
                await self._gear.book.record(f.WorkerQuarantined(worker.worker_id, why))

    async def _revive(self, worker_id: str, pause_s: float) -> None:
        """Start one agent again; a program that falls at once gets more time each time."""
        book = self._gear.book
        try:
            await book.wait_until(lambda view: view.ending, timeout_s=pause_s)
            await self._spawner.clear_away(worker_id)

            def choose(view: SessionView) -> Sequence[f.Fact]:
                due = what_next(view, view.workers[worker_id])
                return [f.WorkerRevived(worker_id, due.resume)] if isinstance(due, Revive) else []

            if await book.decide(choose):
                self._start_worker(worker_id)
        finally:
            self._reviving.discard(worker_id)

    async def _give_up(self) -> None:
        """End a session whose lead does not act any more and which nobody watches: it would never end."""
        gear = self._gear
        while not gear.created.manual:
            seq, lead = gear.view.last_seq, gear.view.lead
            if lead is None or not (lead.stalled or lead.asks):
                await gear.book.next_after(seq)
                continue
            await gear.book.next_after(seq, timeout_s=UNATTENDED_S if lead.stalled else UNANSWERED_S)
            watched = await offload(gear.tmux.attached_clients, gear.tmux_session)
            if gear.view.last_seq == seq and not watched:
                why = "stopped acting" if lead.stalled else "waits for a person"
                await self._mark(f.GoalMarked(Outcome.FAILED, f"the lead {why}: {lead.last_note}"))

    async def _keep_pool(self) -> None:
        """Keep worktrees ready: filled at the start and after each spawn or merge."""
        gear = self._gear
        while True:
            key = _pool_key(gear.view)
            tip = await offload(branch_tip, gear.repository, gear.view.integration_branch)
            if tip is not None:
                await offload(self._pool.fill, tip)
            while _pool_key(gear.view) == key:
                await gear.book.next_after(gear.view.last_seq)

    async def _keep_ledger(self) -> None:
        """See what agents start while they live: what lets go of its agent and its mark is known by then."""
        while True:
            alive = [worker for worker in self._gear.view.workers.values() if worker.alive and worker.pid]
            agents = {worker.worker_id: (worker.pid, worker.pid_started) for worker in alive}
            await offload(self._spawner.ledger.look, agents)
            await self._gear.clock.pause(LEDGER_S)

    async def _keep_status(self) -> None:
        await keep_status_line(self._gear)


def _is_stale(exc: BaseException) -> bool:
    """Whether a newer supervisor took over, also where task groups have wrapped that up."""
    if isinstance(exc, BaseExceptionGroup):
        return exc.subgroup(StaleGeneration) is not None
    return isinstance(exc, StaleGeneration)


def _pool_key(view: SessionView) -> tuple[int, int]:
    return len(view.workers), len(view.merges)
