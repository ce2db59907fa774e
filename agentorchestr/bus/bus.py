"""``Bus``: one agent on the bus, for any Python program."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self, Unpack
from uuid import uuid4

from agentorchestr.bus.calls import Calls
from agentorchestr.bus.home import hold_as_instance
from agentorchestr.bus.joining import connection, enter_line
from agentorchestr.bus.keeping import answering, keep
from agentorchestr.bus.letters import Words, fitted, make_letter, options_of
from agentorchestr.bus.line import Place
from agentorchestr.bus.names import address_of, receivers_of
from agentorchestr.bus.neighbours import check_speech, refuse_neighbour
from agentorchestr.bus.serving import Handler, Serving, handed
from agentorchestr.bus.speaking import speaking
from agentorchestr.bus.trust import names_are_bound
from agentorchestr.errors import BusError, CarrierGone, UsageError
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import (
    Address,
    AgentCard,
    DelegatedTask,
    Letter,
    LetterKind,
    LetterState,
    Skill,
    Standing,
)
from agentorchestr.mqtt.endpoint import Login
from agentorchestr.process import offload
from agentorchestr.swarm.assignments import Assignments
from agentorchestr.swarm.delegation import TTL_S, Delegation
from agentorchestr.swarm.directory import Directory
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.fetching import Artifacts

ANSWER_S = 60.0
AGAIN_S = 1.0
SETTLES_S = 0.02
"""What was taken from the broker is on disk after this."""
Name = str | Address


class Bus:
    """One agent on the bus: ``async with Bus("reviewer") as bus: …``.

    *agent_id* without ``/`` is local; ``session/worker`` and full addresses work. Without *broker* the
    private broker of this user is used, and started when none runs; *broker* is a URL (``mqtts://host:8883``)
    whose login is *login*, or stands in *login_file* or the environment.

    Mail is kept in a file of its own, so nothing is lost when this process, or the broker, ends. Entering
    raises ``InstanceRuns`` when another process runs under this name, ``MissingDependency`` without
    mosquitto, ``CarrierRefused`` when the broker says no. A named broker may be away: it is waited for
    meanwhile. *slots* is how many tasks are taken at a time, see ``Agent``; without one all are rejected.
    """

    def __init__(
        self,
        agent_id: Name,
        *,
        broker: str = "",
        login: Login | None = None,
        login_file: Path | None = None,
        compat: str = "",
        description: str = "",
        skills: Sequence[str | Skill] = (),
        role: str = "",
        program: str = "",
        slots: int = 0,
        env: Mapping[str, str] | None = None,
        takes_answers: bool = True,
    ) -> None:
        self.me = agent_id if isinstance(agent_id, Address) else address_of(agent_id)
        self.place = Place.of(
            os.environ if env is None else env,
            self.me,
            broker=broker,
            login=login,
            login_file=login_file,
            compat=compat,
        )
        refuse_neighbour(self.me)
        self._card = AgentCard(
            self.me,
            role=role,
            program=program,
            description=description,
            skills=tuple(skill if isinstance(skill, Skill) else Skill(skill) for skill in skills),
            free_slots=slots,
            host=socket.gethostname(),
            instance=uuid4().hex,
        )
        self._takes_answers = takes_answers
        self._calls = Calls()
        self._exchange: Exchange | None = None

    @property
    def exchange(self) -> Exchange:
        """What carries it all, for those who build on it. Raises ``UsageError`` outside ``async with``."""
        if self._exchange is None:
            raise UsageError("the bus is used inside of: async with Bus(…) as bus")
        return self._exchange

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback((await hold_as_instance(self.place.home)).release)
            store = await offload(self.place.home.open_store)
            stack.callback(store.close)
            line = await enter_line(stack, self.place)
            bound = await names_are_bound(line, self.me)
            made = await stack.enter_async_context(connection(self.place, line, self._card))
            transport = await stack.enter_async_context(speaking(self.place, line, made))
            exchange = Exchange(
                transport,
                store,
                self.me,
                card=self._card,
                names_bound=bound,
                unbound_org=line.unbound_org,
                shelf=self.place.shelf,
            )
            exchange.follow(self._calls.moved)
            if self._takes_answers:
                exchange.serve([LetterKind.ANSWER], self._calls.take)
            self.directory = Directory(exchange)
            delegation = Delegation(exchange, self.directory)
            assignments = Assignments(exchange, slots=self._card.free_slots)
            artifacts = Artifacts(exchange, self.place.shelf)
            await stack.enter_async_context(exchange)
            self.delegation = await stack.enter_async_context(delegation)
            self.assignments = await stack.enter_async_context(assignments)
            self.artifacts = await stack.enter_async_context(artifacts)
            self._exchange = exchange
            stack.callback(setattr, self, "_exchange", None)
            stack.enter_context(answering(self.place.home, self._rung))
            await self._keep(stack, transport)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        # What went wrong inside the block stays as it is: a task group would wrap it in a group.
        await self._stack.__aexit__(None, None, None)

    def _rung(self) -> None:
        """Another process of our name changed what is on disk."""
        self.exchange.poke()
        self.artifacts.look_soon()
        self.delegation.look_soon()

    async def _keep(self, stack: AsyncExitStack, transport: Transport) -> None:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        # With everybody's cards seen, what waits for somebody goes out when they come.
        works: list[asyncio.Task[object]] = [group.create_task(self.directory.complete())]
        if self.place.may_carry:
            works.append(group.create_task(keep(self.place, transport)))
        stack.callback(lambda: [work.cancel() for work in works])

    async def send(self, to: Name, body: str, **words: Unpack[Words]) -> Letter:
        """Send *body* to one agent, or to ``all``; on disk when this returns, and tried until it arrives.

        *words*: ``subject``, ``content_type``, ``priority``, ``reply_to``, ``thread``, ``answers``,
        ``expires_s``. Raises ``UsageError`` for what cannot travel.
        """
        [letter] = await self.send_many([to], body, **words)
        return letter

    async def send_many(self, to: Sequence[Name], body: str, **words: Unpack[Words]) -> list[Letter]:
        """Send *body* to each of *to*: one letter each, all on disk or none."""
        body, options = await offload(fitted, self.place.shelf, body, options_of(words))
        letters = [make_letter(self.me, one, body, options) for one in receivers_of(map(str, to))]
        check_speech(self.place, letters)
        return await self.exchange.send_many(letters)

    async def request(
        self, to: Name, body: str, *, timeout_s: float = ANSWER_S, **words: Unpack[Words]
    ) -> Letter:
        """Ask one agent and give its answer. The question expires with the wait.

        Raises ``NoAnswer`` when none comes in time or the other side failed; see ``calls``.
        """
        words.setdefault("expires_s", timeout_s)
        [receiver] = receivers_of([str(to)])
        if receiver is None:
            raise UsageError("a question goes to one agent")
        options = options_of(words, kind=LetterKind.ASK)
        letter = make_letter(self.me, receiver, *await offload(fitted, self.place.shelf, body, options))
        return await self.put(letter, timeout_s=timeout_s)

    async def put(self, question: Letter, *, timeout_s: float) -> Letter:
        """Send a letter of kind ``ask`` and give its answer; as ``request``."""
        check_speech(self.place, [question])
        return await self._calls.ask(question, self.exchange.send, timeout_s=timeout_s)

    async def fetch(self, letter: Letter, *, timeout_s: float = ANSWER_S) -> bytes:
        """The body of *letter*: of a large one, which is kept apart, what its sender kept.

        Raises ``NotFetched`` when it does not come in time; it is tried further meanwhile.
        """
        return await self.artifacts.bytes_of(letter.body, letter.sender, timeout_s=timeout_s)

    async def messages(self) -> AsyncIterator[Letter]:
        """Letters nobody here handled yet, then new ones as they come, for ever; for one reader.

        A letter counts as read when it comes out, and as handled when the next is asked for: one that was
        out when the process ended comes again. Answers go to ``request``.
        """
        async for letter in self.exchange.inbox():
            await self.exchange.advance(letter.letter_id, LetterState.READ)
            yield letter

    async def serve(self, handler: Handler, *, limit: int = 1) -> None:
        """Hand every letter to *handler*, at most *limit* at a time, for ever; its text is the answer.

        A handler that fails is logged, and the one who asked is told. See ``Serving`` for what happens to
        a letter whose handler was cut off.
        """
        await Serving(self.exchange, self.artifacts, handler, limit=limit).run(self.exchange.inbox())

    async def hand_over(self, handler: Handler) -> None:
        """Hand every letter to *handler*, which only puts it where somebody will read it, for ever.

        A letter stays unread; one whose handler failed or was cut off is tried again after a while or the
        next start.
        """
        async for letter in self.exchange.inbox():
            while not await handed(handler, letter):
                await self.exchange.clock.pause(AGAIN_S)
            await self.exchange.advance(letter.letter_id, LetterState.HANDED)

    async def agents(self, capability: str = "") -> list[AgentCard]:
        """The agents on the bus, ourselves included, that can do *capability*.

        Raises ``CarrierGone`` while there is no connection.
        """
        if not await self.directory.complete():
            raise CarrierGone("the broker did not list its agents in time", hint="agentorchestr bus doctor")
        return list(self.directory.agents(capability))

    async def caught_up(self) -> None:
        """Return once all that waited for us at the broker is in the mail file.

        Raises ``CarrierGone`` while there is no connection.
        """
        # What was kept for us comes before what is answered to us now.
        await self.agents()
        exchange, row = self.exchange, -1
        while (last := await exchange.lane.do(lambda: exchange.store.inbox.last_row(self.me))) != row:
            row = last
            await exchange.clock.pause(SETTLES_S)

    async def delegate(
        self, text: str, *, capability: str = "", to: Name = "", ttl_s: float = TTL_S
    ) -> DelegatedTask:
        """Give a task to whoever can do *capability*, or to one agent; on disk when this returns.

        By capability it moves on when an agent rejects it or is lost. ``task_result`` waits for its end, and
        ``delegation`` has the rest. Raises ``UsageError``, ``CarrierGone``.
        """
        await self.agents()
        return await self.delegation.delegate(
            text, capability=capability, to=address_of(str(to)) if to else None, ttl_s=ttl_s
        )

    async def task_result(self, task_id: str, *, timeout_s: float = ANSWER_S) -> DelegatedTask:
        """A task of ours once it is at its end, or as it stands after *timeout_s*.

        Raises ``BusError`` for a task that is not ours.
        """
        task = await self.delegation.wait(task_id, timeout_s=timeout_s)
        if task is None:
            raise BusError(f"no task of ours has the id {task_id!r}")
        result = await self.artifacts.text_of(task.result, task.assignee or self.me, timeout_s=timeout_s)
        return replace(task, result=result)

    async def wait_for(
        self, letter_id: str, state: str | LetterState, *, timeout_s: float = ANSWER_S
    ) -> Standing:
        """How far a letter of ours is once it got to *state* or its end, at the latest after *timeout_s*.

        Raises ``BusError`` for a letter that is not ours.
        """
        standing = await self.exchange.wait_for(letter_id, LetterState(state), timeout_s=timeout_s)
        if standing is None:
            raise BusError(f"no letter of ours has the id {letter_id!r}")
        return standing

    async def show(self, *, state: str = "", free_slots: int | None = None) -> None:
        """Tell everybody what we do now, on our card."""
        card = self.exchange.card
        slots = card.free_slots if free_slots is None else free_slots
        await self.exchange.show(replace(card, state=state, free_slots=slots))
