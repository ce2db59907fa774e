"""Tools that lead and workers share: messages to one another, and who is there."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Unpack

from agentorchestr.errors import ToolRefused
from agentorchestr.model import facts as f
from agentorchestr.model.mail import INLINE_BYTES, Address, DelegatedTask
from agentorchestr.model.view import MessageView, SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor import told
from agentorchestr.supervisor.answers import REQUEST_THREADS, TASK_THREAD
from agentorchestr.supervisor.artifact_verbs import fetched
from agentorchestr.supervisor.desk import Principal, Reply
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.letters_moved import letter_id_of
from agentorchestr.supervisor.post import Post, read_address
from agentorchestr.supervisor.reading import message_state, take_unread
from agentorchestr.supervisor.replies import artifact_shown, message_line
from agentorchestr.supervisor.wording import Wording, Words
from agentorchestr.swarm.artifacts import packed, ref_of

POOL_ROLE = "pool"
"""A session's pools take A2A requests, and no letters."""
SESSION, OUTSIDE = "session", "outside"
"""The scopes of a broadcast; ``everybody`` is both."""


class MailDesk:
    """The mail of one lead or worker, whose token called."""

    def __init__(self, gear: Gear, principal: Principal, post: Post | None) -> None:
        self._post = post
        self._gear = gear
        self._book = gear.book
        self._me = principal.worker_id
        self._wait_limit_s = principal.wait_limit_s

    async def send_message(self, to: str, body: str, **words: Unpack[Words]) -> Reply:
        """Queue a message for each of the agents in *to*, parted by commas; all of them or none.

        A receiver is rung when it is idle, and fetches the body itself. What was sent under the same
        *operation* before is not sent again: a reply may be lost, and the caller tries once more.
        """
        said = Wording(**words)
        body = await self._fitted(body)
        asked = self._gear.view.messages.get(said.answers)
        if asked is not None and asked.receiver == self._me and asked.thread in REQUEST_THREADS:
            return await self._answer_request(asked, body, said)
        names = tuple(dict.fromkeys(name for part in to.split(",") if (name := part.strip())))
        outside = {name: read_address(name) for name in names if "/" in name}
        inside = {name: self._reachable(name) for name in names if "/" not in name}
        if not names:
            raise ToolRefused("nobody is named", hint=f"Write to: {', '.join(_there(self._gear.view))}.")
        said.check(inside=bool(inside), outside=bool(outside))
        self._reply_address(said.reply_to)
        if outside:
            self._bus().member(self._me)
        for address in outside.values():
            self._bus().check(address, body)
        replies = await self._queue(inside, body, said)
        if outside:
            replies += await self._send_out(outside, body, said)
        return replies[0] if len(replies) == 1 else {"sent": replies}

    async def _answer_request(self, asked: MessageView, body: str, said: Wording) -> Reply:
        if said.question and asked.thread == TASK_THREAD:
            raise ToolRefused(
                "a delegated task has no turn for its sender",
                hint=f"Write to {asked.sender} without answers; answer the task when you know.",
            )
        plain = Wording(subject=said.subject, answers=said.answers, question=said.question)
        answer = told.letter(self._me, asked.sender, body, plain)
        await self._book.record(answer)
        reply: dict[str, object] = {"message_id": answer.message_id, "state": "sent"}
        return {**reply, "next": "end your turn: the reply wakes you"} if said.question else reply

    def _reply_address(self, name: str) -> Address | None:
        """The address of *name*. Raises ``ToolRefused`` for one that nobody could answer to."""
        if not name or "/" in name:
            return read_address(name) if name else None
        if name != self._me:
            self._reachable(name)
        return self._post.address(name) if self._post is not None else None

    async def _queue(self, inside: Iterable[str], body: str, said: Wording) -> list[dict[str, object]]:
        letters = {name: told.letter(self._me, name, body, said) for name in inside}
        if said.operation:
            named = {name: operation_id("msg", self._me, said.operation, name) for name in letters}
            letters = {name: replace(letter, message_id=named[name]) for name, letter in letters.items()}
        await self._book.decide(
            lambda view: [one for one in letters.values() if one.message_id not in view.messages]
        )
        return [
            _sent(name, one.message_id, self._gear.view.messages[one.message_id].step.value)
            for name, one in letters.items()
        ]

    async def _send_out(
        self, outside: Mapping[str, Address], body: str, said: Wording
    ) -> list[dict[str, object]]:
        post, answers = self._bus(), said.answers
        me = post.address(self._me)
        letter = replace(said, answers=letter_id_of(answers)).letter(
            body,
            sender=me,
            reply_to=self._reply_address(said.reply_to),
            now=self._gear.clock.now() if said.expires_s else 0.0,
        )
        sent = {}
        for name, to in outside.items():
            known = operation_id("out", str(me), said.operation, str(to)) if said.operation else ""
            sent[name] = await post.send(self._me, to, replace(letter, letter_id=known))
        asked = self._gear.view.messages.get(answers)
        if asked is not None and asked.receiver == self._me:
            await self._book.record(f.MessageAnswered(self._me, answers))
        return [
            {**_sent(name, one.letter_id, "stored"), "next": "task_status tells how far it got"}
            for name, one in sent.items()
        ]

    async def broadcast(self, body: str, *, subject: str, scope: str) -> Reply:
        """Queue a message to everybody else in this session who is there, or to all outside it, or both."""
        reply: dict[str, object] = {}
        if scope != OUTSIDE:
            reply = {"receivers": await self._to_session(body, subject), "state": "queued"}
        if scope != SESSION:
            post = self._bus()
            me = post.address(self._me)
            letter = Wording(subject=subject).letter(body, sender=me)
            sent = await post.broadcast(self._me, letter)
            reply = {**reply, "message_id": sent.letter_id, "outside": "stored"}
        return reply

    async def _to_session(self, body: str, subject: str) -> list[str]:
        others = [
            w.worker_id for w in self._gear.view.workers.values() if w.alive and w.worker_id != self._me
        ]
        if not others:
            raise ToolRefused("nobody else is in this session now", hint="See list_agents.")
        body = await self._fitted(body)
        letters = [told.letter(self._me, other, body, Wording(subject=subject)) for other in others]
        await self._book.record(*letters)
        return others

    async def _fitted(self, body: str) -> str:
        """*body*, or what stands for it in a message when it is too large for one."""
        small = len(body) <= INLINE_BYTES // 4
        return body if small else await offload(packed, self._gear.shelf, body)

    async def fetch_artifact(self, some_id: str, *, offset: int) -> Reply:
        """Where a large body of a message, or result of a task, is, and its text from *offset* on."""
        member = self._post.member(self._me) if self._post is not None else None
        limit_s = self._wait_limit_s
        return await fetched(self._gear, member, self._me, some_id, offset=offset, limit_s=limit_s)

    async def read_inbox(self) -> Reply:
        """Hand over what waits, each message once: fetching is the read receipt."""
        return {"messages": [message_line(message) for message in await take_unread(self._book, self._me)]}

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
        return message_state(self._gear.view, message)

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
            and card.role != POOL_ROLE
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


def operation_id(kind: str, sender: str, operation: str, receiver: str) -> str:
    """The id of a message that was sent under an id of the sender's own: the same for the same act."""
    words = f"{sender}\0{operation}\0{receiver}"
    return f"{kind}-{hashlib.sha256(words.encode()).hexdigest()[:32]}"


def _sent(name: str, message_id: str, state: str) -> dict[str, object]:
    return {"to": name, "message_id": message_id, "state": state}


def _there(view: SessionView) -> list[str]:
    return [worker.worker_id for worker in view.workers.values() if worker.alive] or ["nobody is there"]


def task_reply(task: DelegatedTask) -> dict[str, object]:
    """A delegated task as it stands; its result is data."""
    reply: dict[str, object] = {"task_id": task.task_id, "state": task.state.value}
    if task.assignee is not None:
        reply["assignee"] = str(task.assignee)
    if task.why:
        reply["why"] = task.why
    ref = ref_of(task.result)
    if ref is not None:
        return {**reply, **artifact_shown(ref)}
    return {**reply, "result (data)": task.result} if task.result else reply
