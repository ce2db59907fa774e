"""One agent's post: letters out and in, each on disk before it counts, and how far each one got."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Self

from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import JournalError, OrchestrError, UsageError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import (
    Address,
    AgentCard,
    Arrived,
    Letter,
    LetterKind,
    LetterState,
    Standing,
)
from agentorchestr.swarm import topics
from agentorchestr.swarm.artifacts import Shelf
from agentorchestr.swarm.ids import new_id
from agentorchestr.swarm.incoming import Reader
from agentorchestr.swarm.lane import Lane
from agentorchestr.swarm.moves import Listener, Moves
from agentorchestr.swarm.outgoing import Outgoing, Timing
from agentorchestr.swarm.presence import Presence
from agentorchestr.swarm.receipts import Advances, QuickReceipts
from agentorchestr.swarm.router import Handler, Router
from agentorchestr.swarm.trays import Tray

LetterHandler = Callable[[Letter], Awaitable[None]]
RECEIVER_STATES = frozenset(
    {LetterState.HANDED, LetterState.TURN_STARTED, LetterState.READ, LetterState.ACTED}
)
NORMAL = Timing()
DISK_PAUSE_S = 1.0
KEPT_S = 30 * 86400.0
"""Mail and tasks that have ended stay so long on disk."""
LEAVE_S = 2.0
"""What was just sent, and then the last receipts and the card, may take this long when leaving."""

logger = logging.getLogger(__name__)


class Exchange:
    """Sends and receives for *me* over a connection that its owner enters before and leaves after.

    *names_bound* says that the carrier binds a sender's name to its login, so that letters are ``verified``;
    all but those of *unbound_org*. *shelf* is where large texts of its tasks are kept.
    What ``serve`` and ``listen`` are told before ``async with`` misses nothing of a kept session.
    """

    def __init__(
        self,
        transport: Transport,
        store: MailStore,
        me: Address,
        *,
        card: AgentCard,
        clock: Clock = SYSTEM_CLOCK,
        timing: Timing = NORMAL,
        names_bound: bool = False,
        unbound_org: str = "",
        shelf: Shelf | None = None,
    ) -> None:
        self.me = me
        self.shelf = shelf
        self.transport = transport
        self.store = store
        self.clock = clock
        self.lane = Lane(store)
        self._moves = Moves(self.lane, store, me, clock)
        self._outgoing = Outgoing(
            transport, store, me, lane=self.lane, moves=self._moves, clock=clock, timing=timing
        )
        self._quick = QuickReceipts(transport, me, clock)
        self._advances = Advances(self.lane, store, me, outgoing=self._outgoing, clock=clock)
        self._served: dict[LetterKind, Tray] = {}
        self._tray = Tray(self.lane, store, me, clock=clock, but=self._served.keys())
        self._reader = Reader(
            store,
            me,
            lane=self.lane,
            moves=self._moves,
            receipts=self._quick,
            clock=clock,
            names_bound=names_bound,
            unbound_org=unbound_org,
            hand_out=self._hand_out,
        )
        self._presence = Presence(transport, card, clock=clock, every_s=timing.card_s)
        self._router = Router(transport)
        self._router.add(topics.inbox_filters(me), self._reader.take)
        self._router.add([topics.card(me)], self._presence.see)
        self._serving: list[tuple[Tray, LetterHandler]] = []
        self._stack = AsyncExitStack()
        self._started = False
        self._watchers: list[Callable[[Arrived], None]] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.lane.start()
            self.lane.later(partial(self.store.prune, before=self.clock.now() - KEPT_S))
            stack.push_async_callback(self.lane.close)
            stack.push_async_callback(self._last_words)
            await self.transport.subscribe(self._router.filters)
            await self._presence.enter()
            self._started = True
            working = await stack.enter_async_context(asyncio.TaskGroup())
            works = [
                working.create_task(work)
                for work in (
                    self._outgoing.run(),
                    self._moves.run(),
                    self._quick.run(),
                    self._reader.run(),
                    self._presence.run(),
                    self._router.run(),
                    *(self._serve(tray, handler) for tray, handler in self._serving),
                )
            ]
            stack.callback(lambda: [work.cancel() for work in works])
            stack.push_async_callback(self._drain)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        # What went wrong inside the block stays as it is: a task group would wrap it in a group.
        await self._stack.__aexit__(None, None, None)

    @property
    def card(self) -> AgentCard:
        """Our card as it was last shown."""
        return self._presence.card

    async def show(self, card: AgentCard) -> None:
        """Publish *card* as ours from now on; several changes at once go out as one."""
        self._presence.show(card)

    async def send(self, letter: Letter, *also: Callable[[], object]) -> Letter:
        """Store *letter*, with whatever store calls belong to it, and send it until its receiver has it.

        Sender, time and a missing id are filled in. On disk when this returns; a letter without receiver
        goes to everybody. Raises ``UsageError`` for what cannot travel, ``JournalError`` for the disk.
        """
        stamped = self.stamp(letter)
        await self._outgoing.put([stamped], *also)
        return stamped

    async def send_many(self, letters: Sequence[Letter]) -> list[Letter]:
        """Like ``send``, all in one transaction."""
        stamped = [self.stamp(letter) for letter in letters]
        await self._outgoing.put(stamped)
        return stamped

    async def broadcast(self, letter: Letter) -> Letter:
        """Send to everybody in reach now; ``reached`` tells who has it."""
        return await self.send(replace(letter, receiver=None))

    def stamp(self, letter: Letter) -> Letter:
        """*letter* as ours, made now."""
        return replace(
            letter,
            letter_id=letter.letter_id or new_id(),
            sender=self.me,
            created_at=letter.created_at or self.clock.now(),
            verified=False,
        )

    def inbox(self) -> AsyncIterator[Letter]:
        """Letters nobody handled yet, then new ones as they come; see ``Tray.letters``."""
        return self._tray.letters()

    async def take(self, *, limit: int = 100, timeout_s: float = 0.0) -> list[Letter]:
        """Up to *limit* letters at once, each counted as handled; waits *timeout_s* for the first."""
        return await self._tray.take(limit=limit, timeout_s=timeout_s)

    async def advance(self, letter_id: str, state: LetterState) -> bool:
        """Tell a letter's sender how far it got here; False when that is no news or no such letter.

        On disk when this returns, and sent until the sender has it. Raises ``UsageError`` for a state
        that is not a receiver's to tell.
        """
        if state not in RECEIVER_STATES:
            raise UsageError(f"a receiver cannot say that a letter is {state}")
        return await self._advances.advance(letter_id, state)

    async def state_of(self, letter_id: str) -> Standing | None:
        """How far a letter of ours got; None for an unknown id."""
        return await self._moves.find(letter_id)

    async def wait_for(self, letter_id: str, state: LetterState, *, timeout_s: float) -> Standing | None:
        """How far a letter of ours is once it got to *state* or its end, at the latest after *timeout_s*."""
        return await self._moves.wait_for(letter_id, state, timeout_s=timeout_s)

    async def reached(self, letter_id: str) -> dict[Address, LetterState]:
        """Who has a broadcast of ours, by their own receipts."""
        return await self.lane.do(partial(self.store.outbox.reached, self.me, letter_id))

    def hurry(self, receiver: Address) -> None:
        """Send what waits for *receiver*: it has come back."""
        self._outgoing.hurry(receiver)

    def poke(self) -> None:
        """Look at the store now: another process put letters into it."""
        self._outgoing.poke()

    def follow(self, listener: Listener) -> None:
        """Tell *listener* of every move of a letter of ours."""
        self._moves.listen(listener)

    def serve(self, kinds: Collection[LetterKind], handler: LetterHandler) -> None:
        """Hand letters of *kinds* to *handler*, one at a time, not to ``inbox``. Before ``async with``.

        After a ``JournalError`` of the handler the letter comes again; another of our errors is logged.
        """
        if self._started:
            raise UsageError("handlers are named before the exchange is entered")
        tray = Tray(self.lane, self.store, self.me, clock=self.clock, kinds=tuple(kinds))
        self._served.update(dict.fromkeys(kinds, tray))
        self._serving.append((tray, handler))

    async def listen(self, filters: Sequence[str], handler: Handler) -> None:
        """Hand what else comes in on this connection to *handler*, which acknowledges it.

        Raises ``CarrierRefused``.
        """
        self._router.add(filters, handler)
        if self._started:
            await self.transport.subscribe(filters)

    def watch(self, watcher: Callable[[Arrived], None]) -> None:
        """Tell *watcher* of every new letter, of any kind, before it is handed out."""
        self._watchers.append(watcher)

    def _hand_out(self, arrived: Arrived) -> None:
        for watcher in self._watchers:
            watcher(arrived)
        self._served.get(arrived.letter.kind, self._tray).push(arrived)

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._outgoing.drain()

    async def _last_words(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self._quick.flush()
                await self._presence.leave()
        with contextlib.suppress(JournalError):
            await self._moves.flush()

    async def _serve(self, tray: Tray, handler: LetterHandler) -> None:
        while True:
            try:
                async for letter in tray.letters():
                    await _handle(letter, handler)
            except JournalError:
                # The letter was not handled: it comes again.
                logger.exception("letters not handed out, trying again")
                await self.clock.pause(DISK_PAUSE_S)


async def _handle(letter: Letter, handler: LetterHandler) -> None:
    try:
        await handler(letter)
    except JournalError:
        raise
    except OrchestrError:
        logger.exception("letter not handled", extra={"letter_id": letter.letter_id})
