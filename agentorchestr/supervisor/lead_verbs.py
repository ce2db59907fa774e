"""The lead's tools that steer workers: spawn, read, send, wait, end."""

import contextlib
from collections.abc import Callable, Sequence

from agentorchestr.errors import OrchestrError, PaneGone, ToolRefused
from agentorchestr.model import facts as f
from agentorchestr.model.states import LEAD, Report, WorkerState
from agentorchestr.model.view import LeadEvent, SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor import told
from agentorchestr.supervisor.desk import Principal, Reply
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.integration import Integration
from agentorchestr.supervisor.replies import event_line, notes_reply, running, task_line, worker_line
from agentorchestr.supervisor.spawner import Order, Spawner, next_worker_id
from agentorchestr.tmux import panes

BATCH = 20
"""Most events in one reply; the rest comes with the next call."""
MAX_LINES = 1000


class SteeringVerbs:
    """What the lead does with workers. The other half of its tools is in ``lead_results``."""

    def __init__(
        self,
        gear: Gear,
        principal: Principal,
        *,
        spawner: Spawner,
        integration: Integration,
        start: Callable[[str], None],
    ) -> None:
        self._gear = gear
        self._book = gear.book
        self._principal = principal
        self._spawner = spawner
        self._integration = integration
        self._start = start

    async def spawn_worker(
        self,
        task: str,
        *,
        role: str,
        agent: str,
        file_scope: Sequence[str],
        criteria: str,
        context: str,
        task_id: str,
    ) -> Reply:
        """Write the intent and answer; worktree and pane follow, and so does a failure, as an event.

        Without memory for it the worker is queued, and its start is an event.
        """
        held = await self._spawner.admission.why_held(self._checked_agent(self._gear.view, agent))

        def choose(view: SessionView) -> Sequence[f.Fact]:
            self._check_open(view)
            worker_id = next_worker_id(view)
            chosen = self._checked_agent(view, agent)
            self._check_spawn(view, role, task_id)
            order = Order(worker_id, role, chosen, task, tuple(file_scope), criteria, context, task_id)
            claim = [f.TaskClaimed(task_id, worker_id)] if task_id else []
            waits = [f.SpawnHeld(worker_id, held)] if held else []
            return [self._spawner.intent(order), *waits, *claim]

        recorded = await self._book.decide(choose)
        spawned = recorded[0].fact
        assert isinstance(spawned, f.WorkerSpawned)  # noqa: S101 - choose puts it first
        self._start(spawned.worker_id)
        reply: dict[str, object] = {
            "worker_id": spawned.worker_id,
            "agent": spawned.agent,
            "role": spawned.role,
            "branch": spawned.branch,
            "state": "queued" if held else WorkerState.STARTING.value,
        }
        if held:
            return {**reply, "why": held, "next": "it starts by itself; wait_for_any tells when"}
        return reply

    def _check_open(self, view: SessionView) -> None:
        if view.goal_marked is not None or view.stop_asked or view.pause_asked:
            raise ToolRefused("the session is ending", hint="Nothing more is to be done.")

    def _checked_agent(self, view: SessionView, agent: str) -> str:
        allowed = view.created.worker_agents
        if agent and agent not in allowed:
            raise ToolRefused(
                f"no agent {agent!r} in this session", hint=f"Use one of: {', '.join(allowed)}."
            )
        return agent or allowed[0]

    def _check_spawn(self, view: SessionView, role: str, task_id: str) -> None:
        if role not in self._gear.roles:
            raise ToolRefused(f"no role {role!r}", hint=f"Use one of: {', '.join(self._gear.roles)}.")
        busy = [w.worker_id for w in view.team if not w.state.ended]
        limit = view.created.max_workers
        if len(busy) >= limit:
            raise ToolRefused(
                f"{limit} workers are at work, the most this session may have: {', '.join(busy)}",
                hint="Wait for one with wait_for_any, or end one with kill_worker.",
            )
        if task_id:
            task = view.tasks.get(task_id)
            if task is None:
                raise ToolRefused(f"no task {task_id!r}", hint="See list_tasks.")
            if task.owner:
                raise ToolRefused(f"task {task_id} belongs to {task.owner}", hint="See list_tasks.")
            waits = [before for before in task.after if view.tasks[before].report is not Report.DONE]
            if waits:
                raise ToolRefused(f"task {task_id} waits for {', '.join(waits)}", hint="See list_tasks.")

    def _worker(self, worker_id: str) -> WorkerView:
        worker = self._gear.view.workers.get(worker_id)
        if worker is None or worker.is_lead:
            known = ", ".join(w.worker_id for w in self._gear.view.team) or "none yet"
            raise ToolRefused(f"no worker {worker_id!r}", hint=f"Workers: {known}.")
        return worker

    async def read_worker_output(self, worker_id: str, *, tail_lines: int) -> Reply:
        """What stands on the worker's screen now, or stood there last."""
        worker = self._worker(worker_id)
        text, live = worker.last_screen, False
        if worker.alive and worker.pane_id:
            try:
                lines = min(max(tail_lines, 1), MAX_LINES)
                screen = await offload(panes.capture, self._gear.tmux, worker.pane_id, tail_lines=lines)
                text, live = "\n".join(screen).rstrip(), True
            except PaneGone:
                pass
        return {"worker_id": worker_id, "state": worker.state.value, "live": live, "screen (data)": text}

    async def send_to_worker(self, worker_id: str, message: str) -> Reply:
        """Queue a message; the worker is rung when it is idle, and fetches the body itself."""
        worker = self._worker(worker_id)
        if not worker.reachable:
            raise ToolRefused(
                f"{worker_id} is {worker.state}: nobody would read it",
                hint="Spawn a new worker with what is left to do.",
            )
        queued = told.message(worker_id, message, sender=LEAD)
        await self._book.record(queued)
        return {"message_id": queued.message_id, "state": "queued"}

    async def wait_for_worker(self, worker_id: str, *, timeout_s: float) -> Reply:
        """Wait until this worker needs something or ended."""
        self._worker(worker_id)

        def news(view: SessionView) -> list[LeadEvent]:
            return [e for e in view.unread_events if e.worker_id == worker_id and e.merge is None]

        def rests(view: SessionView) -> bool:
            worker = view.workers[worker_id]
            stopped = worker.state.ended or bool(worker.asks) or worker.limited or worker.stalled
            return stopped or bool(news(view))

        reached = await self._book.wait_until(rests, timeout_s=self._bounded(timeout_s))
        fresh = news(self._gear.view)
        await self._consume(lambda event: event in fresh)
        worker = self._gear.view.workers[worker_id]
        reply = worker_line(worker, now=self._gear.clock.now())
        reply["summary (data)"] = worker.summary
        reply["events"] = [event_line(event) for event in fresh]
        return reply if reached else {**reply, "waiting": True}

    async def wait_for_any(self, *, timeout_s: float) -> Reply:
        """Wait for the next events and hand each of them over once."""
        self._check_awaitable(self._gear.view)
        await self._book.wait_until(lambda view: bool(view.unread_events), timeout_s=self._bounded(timeout_s))
        events = self._gear.view.unread_events[:BATCH]
        if events:
            await self._book.record(f.EventsRead(LEAD, events[-1].seq))
        view = self._gear.view
        reply: dict[str, object] = {"events": [event_line(e) for e in events], "running": running(view)}
        if not events:
            reply["note"] = "nothing new yet: call again, or end your turn and you will be woken"
        return reply

    def _check_awaitable(self, view: SessionView) -> None:
        if not (view.unread_events or running(view) or view.merges_open or view.verifies_open):
            raise ToolRefused(
                "nothing runs, so nothing will happen",
                hint="Spawn a worker, merge, verify, or mark the goal as done or failed.",
            )

    def _bounded(self, timeout_s: float) -> float:
        limit = self._principal.wait_limit_s
        return limit if timeout_s <= 0 else min(timeout_s, limit)

    async def _consume(self, told: Callable[[LeadEvent], bool]) -> None:
        """Mark the events as read that a reply just told, so that each is told once."""
        seqs = tuple(event.seq for event in self._gear.view.unread_events if told(event))
        if seqs:
            await self._book.record(f.EventsRead(LEAD, told=seqs))

    async def list_workers(self) -> Reply:
        """All workers as they are now."""
        now = self._gear.clock.now()
        return {"workers": [worker_line(worker, now=now) for worker in self._gear.view.team]}

    async def kill_worker(self, worker_id: str) -> Reply:
        """End a worker's processes; its branch and uncommitted work stay."""
        worker = self._worker(worker_id)
        if worker.killed:
            return {"worker_id": worker_id, "ended": True, "branch": worker.branch}
        await self._book.record(f.WorkerKilled(worker_id, LEAD))
        await self._spawner.end(worker_id)
        # In the middle of a merge nothing can be committed; its tree is saved when it is removed.
        with contextlib.suppress(OrchestrError):
            await self._integration.commit_leftovers(worker)
        return {"worker_id": worker_id, "ended": True, "branch": worker.branch}

    async def add_task(self, title: str, *, detail: str, criteria: str, after: Sequence[str]) -> Reply:
        """Put a task on the session's list."""

        def choose(view: SessionView) -> Sequence[f.Fact]:
            unknown = [task_id for task_id in after if task_id not in view.tasks]
            if unknown:
                raise ToolRefused(f"no task {unknown[0]!r}", hint="See list_tasks.")
            return [f.TaskAdded(f"t{len(view.tasks) + 1}", title, detail, criteria, tuple(after), LEAD)]

        recorded = await self._book.decide(choose)
        added = recorded[0].fact
        return {"task_id": getattr(added, "task_id", "")}

    async def list_tasks(self) -> Reply:
        """The session's tasks with their owners and states."""
        tasks = self._gear.view.tasks
        return {"tasks": [task_line(task, tasks) for task in tasks.values()]}

    async def read_notes(self, *, after: str) -> Reply:
        """Notes of all agents."""
        return notes_reply(self._gear.view.notes, after)

    async def write_note(self, text: str) -> Reply:
        """Leave a note for all agents."""
        return await write_note(self._gear, LEAD, text)

    async def report_progress(self, message: str) -> Reply:
        """Show the person how it goes."""
        await self._book.record(f.ProgressNoted(LEAD, message))
        return {"recorded": True}


async def write_note(gear: Gear, author: str, text: str) -> Reply:
    """Store a note of *author*."""
    recorded = await gear.book.decide(lambda view: [f.NoteWritten(f"n{len(view.notes) + 1}", author, text)])
    return {"note_id": getattr(recorded[0].fact, "note_id", "")}
