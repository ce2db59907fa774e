"""A worker's tools, bound to the worker whose token called."""

from collections.abc import Sequence

from agentorchestr.errors import ToolRefused
from agentorchestr.model import facts as f
from agentorchestr.model.states import LEAD, SUPERVISOR, Report
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor import told
from agentorchestr.supervisor.desk import Reply
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.integration import Integration
from agentorchestr.supervisor.lead_verbs import write_note
from agentorchestr.supervisor.places import setup_environment
from agentorchestr.supervisor.reading import take_unread
from agentorchestr.supervisor.replies import message_line, notes_reply, task_line, verdict_line


class WorkerDesk:
    """All of a worker's tools."""

    def __init__(self, gear: Gear, worker_id: str, *, integration: Integration, wait_limit_s: float) -> None:
        self._gear = gear
        self._book = gear.book
        self._worker_id = worker_id
        self._integration = integration
        self._wait_limit_s = wait_limit_s

    @property
    def _me(self) -> WorkerView:
        return self._gear.view.workers[self._worker_id]

    async def get_brief(self) -> Reply:
        """The task, and the messages that wait: fetching is the read receipt."""
        unread = await take_unread(self._book, self._worker_id)
        me, view = self._me, self._gear.view
        brief: dict[str, object] = {
            "worker_id": me.worker_id,
            "role": me.role,
            "task": me.task,
            "criteria": me.criteria,
            "context": me.context,
            "file_scope": list(me.file_scope),
            "branch": me.branch,
            "worktree": me.worktree,
            "nonce": me.report_nonce,
            "integration_branch": view.integration_branch,
            "base_branch": view.created.base_branch,
            "checks": [command.shown for command in view.created.checks],
            "messages": [message_line(message) for message in unread],
        }
        if view.tasks:
            brief["tasks"] = [task_line(task, view.tasks) for task in view.tasks.values()]
        if view.notes:
            brief["notes"] = len(view.notes)
        return brief

    async def claim_task(self, task_id: str) -> Reply:
        """Take a task from the list; of several claims the first counts."""

        def choose(view: SessionView) -> Sequence[f.Fact]:
            task = view.tasks.get(task_id)
            if task is None:
                raise ToolRefused(f"no task {task_id!r}", hint="The list is in get_brief.")
            if task.owner == self._worker_id:
                return []
            if task.owner or task.report is not None:
                owner = task.owner or "nobody: it is closed"
                raise ToolRefused(f"task {task_id} belongs to {owner}", hint="Take another.")
            waits = [t for t in task.after if view.tasks[t].report is not Report.DONE]
            if waits:
                raise ToolRefused(f"task {task_id} waits for {', '.join(waits)}", hint="Take another.")
            return [f.TaskClaimed(task_id, self._worker_id)]

        await self._book.decide(choose)
        return task_line(self._gear.view.tasks[task_id], self._gear.view.tasks)

    async def report_progress(self, message: str, *, quiet_minutes: int = 0) -> Reply:
        """Show the lead and the person how it goes, and for how long nothing will be heard."""
        await self._book.record(f.ProgressNoted(self._worker_id, message, quiet_minutes * 60.0))
        return self._recorded()

    async def report_done(self, summary: str) -> Reply:
        """Say that the task is done; what is uncommitted is committed now."""
        return await self._report(Report.DONE, summary)

    async def report_blocked(self, reason: str) -> Reply:
        """Say what keeps the task from going on."""
        return await self._report(Report.BLOCKED, reason)

    async def report_failed(self, reason: str) -> Reply:
        """Say that the task cannot be done."""
        return await self._report(Report.FAILED, reason)

    async def _report(self, report: Report, summary: str) -> Reply:
        orders = {LEAD, SUPERVISOR}
        unread = [m for m in self._gear.view.unread_of(self._worker_id) if m.sender in orders]
        if unread:
            # A report made before the message was read would answer the wrong question.
            raise ToolRefused(
                f"{len(unread)} message(s) wait for you", hint="Call get_brief, act on them, then report."
            )
        await self._integration.commit_leftovers(self._me)
        # What changes files is done when it is merged, not when its worker says so.
        at_once = report is Report.FAILED or not self._gear.roles[self._me.role].may_edit
        closed = [
            f.TaskClosed(task.task_id, report)
            for task in self._gear.view.tasks.values()
            if task.owner == self._worker_id
            and task.report is None
            and at_once
            and report is not Report.BLOCKED
        ]
        await self._book.record(f.WorkerReported(self._worker_id, report, summary, "tool"), *closed)
        return self._recorded()

    async def run_checks(self) -> Reply:
        """Run the project's checks in the worker's own worktree: help, never the proof."""
        ports = await offload(setup_environment, self._gear.folder, self._worker_id)
        verdict = await self._integration.checks.own(self._me, ports, wait_s=self._wait_limit_s)
        if verdict is None:
            return {"outcome": "running", "next": "call run_checks again for the answer"}
        return verdict_line(verdict)

    async def write_note(self, text: str) -> Reply:
        """Leave a note for all agents."""
        return await write_note(self._gear, self._worker_id, text)

    async def read_notes(self, *, after: str) -> Reply:
        """Notes of all agents."""
        return notes_reply(self._gear.view.notes, after)

    async def ask_lead(self, question: str) -> Reply:
        """Ask the lead; the answer comes as a message."""
        if self._gear.view.lead is None:
            raise ToolRefused("this session has no lead", hint="Decide yourself, or report blocked with why.")
        await self._book.record(told.message(LEAD, question, sender=self._worker_id, question=True))
        return {"recorded": True, "next": "go on, or end your turn: the answer wakes you"}

    def _recorded(self) -> Reply:
        waiting = len(self._gear.view.unread_of(self._worker_id))
        reply: dict[str, object] = {"recorded": True}
        return {**reply, "messages_waiting": waiting} if waiting else reply
