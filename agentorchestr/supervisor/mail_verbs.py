"""Tools that lead and workers share: messages to one another, and who is there."""

from agentorchestr.errors import ToolRefused
from agentorchestr.model import facts as f
from agentorchestr.model.mail import DelegatedTask
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.supervisor import told
from agentorchestr.supervisor.answers import REQUEST_THREADS
from agentorchestr.supervisor.desk import Principal, Reply
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.post import Post, new_letter, read_address
from agentorchestr.supervisor.replies import message_line


class MailDesk:
    """The mail of one lead or worker, whose token called."""

    def __init__(self, gear: Gear, principal: Principal, post: Post | None) -> None:
        self._post = post
        self._gear = gear
        self._book = gear.book
        self._me = principal.worker_id
        self._wait_limit_s = principal.wait_limit_s

    async def send_message(self, to: str, body: str, *, subject: str, priority: str, answers: str) -> Reply:
        """Queue a message; its receiver is rung when it is idle, and fetches the body itself."""
        asked = self._gear.view.messages.get(answers)
        if asked is not None and asked.receiver == self._me and asked.thread in REQUEST_THREADS:
            answer = told.letter(self._me, asked.sender, body, subject=subject, answers=answers)
            await self._book.record(answer)
            return {"message_id": answer.message_id, "state": "sent"}
        if "/" in to:
            return await self._send_out(to, body, subject=subject, priority=priority, answers=answers)
        receiver = self._reachable(to)
        queued = told.letter(
            self._me, receiver.worker_id, body, subject=subject, priority=priority, answers=answers
        )
        await self._book.record(queued)
        return {"message_id": queued.message_id, "state": "queued"}

    async def _send_out(self, to: str, body: str, *, subject: str, priority: str, answers: str) -> Reply:
        if self._post is None:
            raise ToolRefused(
                "this session is not on a bus: only its own agents can be written to", hint=f"Not {to}."
            )
        me = self._post.address(self._me)
        letter = new_letter(body, subject=subject, priority=priority, answers=answers, sender=me)
        sent = await self._post.send(self._me, to, letter)
        return {"message_id": sent.letter_id, "state": "stored", "next": "task_status tells how far it got"}

    async def broadcast(self, body: str, *, subject: str) -> Reply:
        """Queue a message to everybody else in this session who is there."""
        others = [
            w.worker_id for w in self._gear.view.workers.values() if w.alive and w.worker_id != self._me
        ]
        if not others:
            raise ToolRefused("nobody else is in this session now", hint="See list_agents.")
        letters = [told.letter(self._me, other, body, subject=subject) for other in others]
        await self._book.record(*letters)
        return {"receivers": others, "state": "queued"}

    async def read_inbox(self) -> Reply:
        """Hand over what waits, each message once: fetching is the read receipt."""
        unread = self._gear.view.unread_of(self._me)
        if unread:
            ids = tuple(message.message_id for message in unread)
            await self._book.record(f.MessagesRead(self._me, ids))
        return {"messages": [message_line(message) for message in unread]}

    async def wait_for_message(self, *, timeout_s: float) -> Reply:
        """Wait for a message and hand it over; empty at the time limit."""
        limit = self._wait_limit_s
        await self._book.wait_until(
            lambda view: bool(view.unread_of(self._me)),
            timeout_s=limit if timeout_s <= 0 else min(timeout_s, limit),
        )
        return await self.read_inbox()

    async def task_status(self, message_id: str) -> Reply:
        """How far a message of this agent's got."""
        outside = await self._status_outside(message_id) if self._post is not None else None
        if outside is not None:
            return outside
        message = self._gear.view.messages.get(message_id)
        if message is None or message.sender != self._me:
            raise ToolRefused(f"no message {message_id!r} of yours", hint="send_message gave its id.")
        return {"message_id": message_id, "state": "read" if message.read_at is not None else "queued"}

    async def _status_outside(self, name: str) -> Reply | None:
        """How far a letter or delegated task of ours got; None for an id that is neither."""
        member = self._bus().member(self._me)
        task = await member.given.task(name)
        if task is not None:
            return task_reply(task)
        standing = await member.exchange.state_of(name)
        if standing is None:
            return None
        reply: dict[str, object] = {"message_id": name, "state": standing.state.value}
        return {**reply, "why": standing.why} if standing.why else reply

    async def delegate(self, task: str, *, to: str, capability: str, timeout_s: float) -> Reply:
        """Give a task to an agent elsewhere, or to whoever there can do it; it is followed to its end."""
        member = self._bus().member(self._me)
        if to and "/" not in to:
            raise ToolRefused(
                f"{to} is of this session", hint="The lead gives it work; others use send_message."
            )
        await member.directory.complete()
        receiver = read_address(to) if to else None
        given = await member.given.delegate(task, capability=capability, to=receiver, ttl_s=timeout_s)
        return {**task_reply(given), "next": "task_status tells how it goes"}

    def _bus(self) -> Post:
        if self._post is None:
            raise ToolRefused("this session is not on a bus", hint="Only its own agents can be reached.")
        return self._post

    async def list_agents(self, *, capability: str) -> Reply:
        """Who can be written to, with role and state; *capability* is matched against role and agent."""
        wanted = capability.lower()
        shown = [
            {"name": w.worker_id, "role": w.role, "agent": w.agent, "state": w.state.value}
            for w in self._gear.view.workers.values()
            if w.alive and wanted in f"{w.role} {w.agent}".lower()
        ]
        return {"me": self._me, "agents": [*shown, *await self._outside(wanted)]}

    async def _outside(self, wanted: str) -> list[dict[str, object]]:
        """Agents of other sessions and elsewhere, as their cards tell."""
        if self._post is None:
            return []
        directory = self._post.member(self._me).directory
        await directory.complete()
        return [
            {"name": str(card.address), "role": card.role, "agent": card.program, "state": card.state}
            for card in directory.agents(online=True)
            if card.address.unit != self._gear.session_id
            and wanted in f"{card.role} {card.program} {' '.join(s.name for s in card.skills)}".lower()
        ]

    def _reachable(self, name: str) -> WorkerView:
        view = self._gear.view
        receiver = view.workers.get(name)
        if receiver is None:
            raise ToolRefused(f"no agent {name!r}", hint=f"Write to one of: {', '.join(_there(view))}.")
        if name == self._me:
            raise ToolRefused("that is you", hint="write_note keeps a thought for everybody.")
        # One that is still starting reads its mail with its brief.
        starting = not receiver.pid and not receiver.killed and receiver.report is None
        if not (receiver.alive or starting):
            raise ToolRefused(f"{name} is {receiver.state}: nobody would read it", hint="See list_agents.")
        return receiver


def _there(view: SessionView) -> list[str]:
    return [worker.worker_id for worker in view.workers.values() if worker.alive] or ["nobody is there"]


def task_reply(task: DelegatedTask) -> dict[str, object]:
    """A delegated task as it stands; its result is data."""
    reply: dict[str, object] = {"task_id": task.task_id, "state": task.state.value}
    if task.assignee is not None:
        reply["assignee"] = str(task.assignee)
    if task.why:
        reply["why"] = task.why
    return {**reply, "result (data)": task.result} if task.result else reply
