"""The session's post: each living agent as a member of the bus, its mail tied to the journal.

A letter that comes in is a row of the mail store before the broker is told, and a fact of the session before
it counts as handled; its id is the message's id, so a second arrival changes nothing. How far the message
got here goes back to its sender.
"""

import asyncio
import contextlib
import hashlib
import logging
import socket
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from agentorchestr.errors import BusError, OrchestrError, ToolRefused
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model import facts as f
from agentorchestr.model.broker import NEEDED, BrokerAbilities
from agentorchestr.model.carrier import Transport, Will
from agentorchestr.model.mail import Address, AgentCard, Letter, LetterKind, Skill
from agentorchestr.model.states import LEAD
from agentorchestr.model.swarmbus import is_neighbour
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.supervisor.answers import REQUEST_THREADS
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.letters_moved import letters_moved, letters_so_far, message_id_of
from agentorchestr.supervisor.membership import Member, join, work_on_tasks
from agentorchestr.swarm.artifacts import ref_of
from agentorchestr.swarm.card_wire import will_of
from agentorchestr.swarm.exchange import Exchange

logger = logging.getLogger(__name__)

ORG = "agentorchestr"
RETRY_S = 5.0

Dial = Callable[[Address, Will], AbstractAsyncContextManager[Transport]]
"""Opens a member's connection; made by the wiring, which knows the broker."""

Share = Callable[[Transport, str], AbstractAsyncContextManager[Transport]]
"""From the connection of a worker id to the transport its mail uses."""

Probe = Callable[[], Awaitable[BrokerAbilities]]


@dataclass(frozen=True)
class Carrier:
    """How the members of this session are connected."""

    dial: Dial
    store: MailStore
    names_bound: bool
    """The broker binds a sender's name to its login."""
    share: Share
    """Puts whoever else serves on an agent's connection beside its mail."""
    broker: str = ""
    """The URL of a broker the person named; empty: ours, whose abilities are known."""
    probe: Probe | None = None
    """Tries out what such a broker can do."""
    off_bus: str = ""
    """What is missing, when only this session's agents meet here."""
    compat: str = ""
    """``swarmbus``: what *share* gives speaks with its agents, too."""


class Post:
    """One exchange for each agent that lives."""

    def __init__(self, gear: Gear, carrier: Carrier) -> None:
        self._gear = gear
        self._carrier = carrier
        self._unfit = False
        """The broker cannot do what a member needs."""
        self._instance = uuid.uuid4().hex[:12]
        self._on_bus: dict[str, Member] = {}
        self._members: dict[str, asyncio.Task[None]] = {}

    def address(self, worker_id: str) -> Address:
        """Where an agent of this session is reached."""
        return Address(ORG, self._gear.session_id, worker_id)

    async def serve(self) -> None:
        """Take each agent in as it comes to life, and out as it ends; runs until cancelled."""
        async with asyncio.TaskGroup() as members:
            members.create_task(self._try_broker())
            while not self._unfit:
                seq = self._gear.view.last_seq
                for worker in tuple(self._gear.view.workers.values()):
                    task = self._members.get(worker.worker_id)
                    if worker.alive and worker.ready and (task is None or task.done()):
                        member = members.create_task(self._keep_member(worker.worker_id))
                        self._members[worker.worker_id] = member
                await self._gear.book.next_after(seq)
            # What a member needs does not work there: it would lose mail without a word.
            for task in self._members.values():
                task.cancel()

    async def _try_broker(self) -> None:
        """Write down what the broker can do; off the bus when something that is needed does not work."""
        carrier = self._carrier
        if carrier.probe is None:
            return
        try:
            found = await carrier.probe()
        except BusError as exc:
            why = f"{exc}. {exc.hint}".strip()
            await self._gear.book.record(f.BrokerTried(carrier.broker, None, why))
            return
        facts: list[f.Fact] = [f.BrokerTried(carrier.broker, found)]
        self._unfit = bool(found.lacking)
        if self._unfit:
            needs = "; ".join(f"{name} ({NEEDED[name]})" for name in found.lacking)
            told = "agents write to one another within this session only"
            facts.append(f.NotOnBus(f"{carrier.broker} lacks {needs}: {told}"))
        await self._gear.book.record(*facts)

    async def _keep_member(self, worker_id: str) -> None:
        while self._gear.view.workers[worker_id].alive:
            try:
                await self._be_member(worker_id)
            except* OrchestrError as group:
                detail = "; ".join(str(exc) for exc in group.exceptions)
                logger.warning("not on the bus", extra={"worker_id": worker_id, "detail": detail})
                await self._gear.clock.pause(RETRY_S)

    async def _be_member(self, worker_id: str) -> None:
        """Be connected as this agent until it ends."""
        card = self._card(self._gear.view.workers[worker_id])
        will = will_of(card, at=self._gear.clock.now())
        carrier, clock, book = self._carrier, self._gear.clock, self._gear.book
        async with (
            carrier.dial(card.address, will) as line,
            carrier.share(line, worker_id) as transport,
            join(
                transport,
                carrier.store,
                card,
                shelf=self._gear.shelf,
                clock=clock,
                names_bound=carrier.names_bound,
            ) as member,
        ):
            self._on_bus[worker_id] = member
            try:
                async with asyncio.TaskGroup() as works:
                    mail = works.create_task(self._take_mail(worker_id, member.exchange))
                    tasks = works.create_task(work_on_tasks(book, worker_id, member.taken))
                    await self._follow_agent(worker_id, member.exchange)
                    mail.cancel()
                    tasks.cancel()
            finally:
                self._on_bus.pop(worker_id, None)

    def _card(self, worker: WorkerView) -> AgentCard:
        role = self._gear.roles.get(worker.role)
        skills = (Skill(worker.role, role.title if role is not None else "leads the session"),)
        return AgentCard(
            address=self.address(worker.worker_id),
            role=worker.role,
            program=worker.agent,
            description=f"{worker.role} of agentorchestr session {self._gear.session_id}",
            skills=skills,
            state=worker.state.value,
            free_slots=0 if worker.in_turn else 1,
            host=socket.gethostname(),
            instance=self._instance,
        )

    async def _take_mail(self, worker_id: str, exchange: Exchange) -> None:
        async for letter in exchange.inbox():
            if letter.receiver is None and letter.sender.unit == self._gear.session_id:
                continue  # to all, from one of us: it has a message of its own where it was meant for us
            await queue_letter(self._gear.book, letter, worker_id)

    async def _follow_agent(self, worker_id: str, exchange: Exchange) -> None:
        """Show the agent's state as it changes, and tell senders how far their letters got."""
        shown, after = "", self._gear.view.last_seq
        for message_id, state in letters_so_far(self._gear.view, worker_id).items():
            await exchange.advance(message_id, state)
        while True:
            worker = self._gear.view.workers[worker_id]
            if not worker.alive:
                return
            if worker.state.value != shown:
                shown = worker.state.value
                await exchange.show(self._card(worker))
            for item in await self._gear.book.facts(after=after, limit=-1):
                await self._tell_sender(worker_id, exchange, item.fact)
                after = item.seq
            await self._gear.book.next_after(max(after, 0))

    async def _tell_sender(self, worker_id: str, exchange: Exchange, fact: f.Fact) -> None:
        """What a fact of this agent means for letters that came from outside."""
        found = letters_moved(self._gear.view, worker_id, fact)
        if found is not None:
            state, ids = found
            for letter_id in ids:
                await exchange.advance(letter_id, state)

    def member(self, worker_id: str) -> Member:
        """The agent's membership. Raises ``ToolRefused`` while it is not on the bus."""
        member = self._on_bus.get(worker_id)
        if member is None:
            raise ToolRefused("you are not on the bus now", hint="Try again in a moment.")
        return member

    def check(self, to: Address, body: str = "") -> None:
        """Raise ``ToolRefused`` for an address that letters of this session, or this *body*, never reach."""
        if is_neighbour(to) and ref_of(body) is not None:
            raise ToolRefused(f"{to} is an agent of swarmbus", hint="It gets 64 KiB of text at most.")
        if is_neighbour(to) and not self._carrier.compat:
            raise ToolRefused(
                f"{to} is an agent of swarmbus",
                hint="Only a session started with --bus-compat swarmbus reaches it.",
            )

    async def send(self, worker_id: str, to: Address, letter: Letter) -> Letter:
        """Send a letter of this agent's out of the session."""
        return await self.member(worker_id).exchange.send(replace(letter, receiver=to))

    async def broadcast(self, worker_id: str, letter: Letter) -> Letter:
        """Send a letter of this agent's to everybody in reach outside the session."""
        return await self.member(worker_id).exchange.broadcast(letter)


def read_address(text: str) -> Address:
    """``unit/agent`` or ``org/unit/agent``. Raises ``ToolRefused``."""
    with contextlib.suppress(ValueError):
        parts = text.split("/")
        return Address(ORG, *parts) if len(parts) == 2 else Address.parse(text)  # noqa: PLR2004 - unit and agent
    raise ToolRefused(f"{text!r} is no address", hint="Write SESSION/WORKER, local/AGENT or ORG/UNIT/AGENT.")


async def queue_letter(book: Book, letter: Letter, worker_id: str) -> None:
    """Make *letter* a message for an agent; a second arrival of it changes nothing."""

    def choose(view: SessionView) -> Sequence[f.Fact]:
        message = message_of(letter, worker_id)
        known = view.messages.get(message.message_id)
        if known is None or (known.sender, known.receiver) == (message.sender, worker_id):
            return [message]
        # Senders choose the ids of their letters, and two may choose the same.
        other = hashlib.sha256(f"{message.sender} {worker_id}".encode()).hexdigest()[:12]
        return [replace(message, message_id=f"{letter.letter_id}@{other}")]

    await book.decide(choose)


def message_of(letter: Letter, worker_id: str) -> f.MessageQueued:
    """The message that *letter* is for an agent of this session."""
    return f.MessageQueued(
        message_id_of(letter, worker_id),
        str(letter.sender),
        worker_id,
        letter.body,
        question=letter.kind is LetterKind.ASK and worker_id == LEAD,
        subject=letter.subject,
        priority=letter.priority,
        # Its sender chose this word, too: the ones that mark requests are ours.
        thread="" if letter.thread in REQUEST_THREADS else letter.thread,
        answers=letter.answers,
        verified=letter.verified,
        reply_to=str(letter.reply_to or ""),
        content_type=letter.content_type,
    )
