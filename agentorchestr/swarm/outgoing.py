"""Letters on their way out: a row first, then the carrier, again and again until the receiver's receipt."""

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from agentorchestr.clock import Clock
from agentorchestr.errors import CarrierGone, JournalError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_outbox import Mark
from agentorchestr.model.carrier import Delivered, Properties, Transport
from agentorchestr.model.mail import Address, Letter, LetterState, Standing
from agentorchestr.model.swarmbus import is_neighbour, is_to_all
from agentorchestr.swarm import topics
from agentorchestr.swarm.lane import ROW_BYTES, Lane
from agentorchestr.swarm.moves import Moves
from agentorchestr.swarm.wire import encode_letter

NONE = Properties()
NOBODY = "nobody there"
NO_RECEIPTS = "swarmbus sends no receipts"
WINDOW = 256
"""Letters handed to the carrier and not answered yet, at most."""
PAGE = 256
DISK_PAUSE_S = 1.0
DRAIN_LOOK_S = 0.005
HURRY_S = 3.0
"""What a receiver's kept session holds comes to it by itself; its receipts take this long at most."""
LOOK_S = 15.0
"""Another process may store letters of this sender; they wait no longer than this."""
REFUSED_TRIES = 5
"""A carrier that is full says the same as one that forbids, so a refusal is tried again a little."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Timing:
    """When a letter is tried again. Each wait doubles from the first to the longest."""

    receipt_s: float = 15.0
    """The carrier took it and no receipt came."""
    receipt_most_s: float = 900.0
    nobody_s: float = 1.0
    """Nobody was there, or the carrier refused it."""
    nobody_most_s: float = 60.0
    grace_s: float = 1.0
    """A receipt may be under way when a letter expires."""
    card_s: float = 60.0
    """How often an agent's own card is published anew."""


class Outgoing:
    """One sender's outbox at work."""

    def __init__(
        self,
        transport: Transport,
        store: MailStore,
        me: Address,
        *,
        lane: Lane,
        moves: Moves,
        clock: Clock,
        timing: Timing,
    ) -> None:
        self._transport = transport
        self._outbox = store.outbox
        self._me = me
        self._lane = lane
        self._moves = moves
        self._clock = clock
        self._timing = timing
        self._ready: deque[tuple[Letter, bytes]] = deque()
        self._flying: set[str] = set()
        self._behind = True
        self._stored_behind = 0
        self._hurried: set[Address] = set()
        self._wake = asyncio.Event()
        self._alarm = 0.0
        self._soonest = math.inf
        self._group: asyncio.TaskGroup | None = None

    async def put(self, letters: Sequence[Letter], *also: Callable[[], object]) -> None:
        """Store *letters*, with whatever store calls belong to them, and send them.

        On disk when this returns; the sending goes on. Raises ``UsageError`` and ``JournalError``.
        """
        written = [(letter, encode_letter(letter)) for letter in letters]
        # While older letters wait in the store, new ones queue up behind them there.
        direct = self._transport.connected and not self._behind and len(self._ready) < PAGE
        now = self._clock.now()
        try_at = now + self._timing.receipt_s if direct else now
        storing = partial(self._outbox.put, letters, next_try_at=try_at, now=now)
        weighs = sum(ROW_BYTES + len(payload) for _, payload in written)
        await self._lane.together(storing, *also, weighs=weighs)
        if direct:
            self._ready.extend(written)
            self._launch()
            self._be_awake_at(try_at)
        else:
            self._behind = True
            self._stored_behind += 1
            self._wake.set()

    def poke(self) -> None:
        """Look for letters that were stored by others."""
        self._wake.set()

    def hurry(self, receiver: Address) -> None:
        """Send at once what found nobody there, and soon what *receiver* sent no receipt for."""
        self._hurried.add(receiver)
        self._wake.set()

    async def drain(self) -> None:
        """Wait until nothing is left that could go out now."""
        while self._transport.connected and (self._behind or self._ready or self._flying):
            await self._clock.pause(DRAIN_LOOK_S)

    async def run(self) -> None:
        """Send, and send again what is due, for ever."""
        await self._lane.do(partial(self._outbox.resume, self._me, now=self._clock.now()))
        async with asyncio.TaskGroup() as self._group:
            while True:
                try:
                    await self._turn()
                except JournalError:
                    logger.exception("outbox not read, trying again")
                    await self._clock.pause(DISK_PAUSE_S)

    def _launch(self) -> None:
        while self._ready and self._group is not None and len(self._flying) < WINDOW:
            letter, payload = self._ready.popleft()
            self._flying.add(letter.letter_id)
            self._group.create_task(self._try(Standing(letter, LetterState.STORED), payload))

    async def _turn(self) -> None:
        """Send what is due, then sleep until more is."""
        if not self._transport.connected:
            await self._expire()
            await self._transport.wait_connected(timeout_s=1.0)
            return
        self._wake.clear()
        self._soonest = math.inf
        await self._moves.flush()
        now = self._clock.now()
        # After the flush: a mark written later would undo it.
        hurried, self._hurried = self._hurried, set()
        for receiver in hurried:
            soon = now + HURRY_S
            self._lane.later(partial(self._outbox.hurry, self._me, receiver, now=now, soon=soon))
        stored_behind = self._stored_behind
        page = await self._lane.do(partial(self._outbox.due, self._me, now=now, limit=PAGE))
        self._behind = len(page) == PAGE or self._stored_behind > stored_behind
        due = [standing for standing in page if standing.letter.letter_id not in self._flying]
        if due:
            await self._resend(due, now=now)
        elif page:
            await self._clock.pause(self._timing.nobody_s)
        else:
            await self._sleep(now)

    async def _sleep(self, now: float) -> None:
        moment = await self._lane.do(partial(self._outbox.next_due, self._me))
        self._alarm = min(math.inf if moment is None else moment, self._soonest)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(self._alarm - now, 0.01), LOOK_S)):
                await self._wake.wait()
        self._alarm = 0.0

    async def _resend(self, due: Sequence[Standing], *, now: float) -> None:
        by_receiver: dict[Address | None, list[Standing]] = {}
        for standing in due:
            if 0 < standing.letter.expires_at <= now:
                self._moves.mark(_expired(standing))
            else:
                by_receiver.setdefault(standing.letter.receiver, []).append(standing)
        async with asyncio.TaskGroup() as group:
            for standings in by_receiver.values():
                group.create_task(self._resend_to_one(standings))

    async def _resend_to_one(self, standings: Sequence[Standing]) -> None:
        first, *rest = standings
        if first.why == NOBODY and await self._try(first) is Delivered.NOBODY_THERE:
            # One letter asks for all: a long outbox does not knock a thousand times.
            for standing in rest:
                self._note(standing, Delivered.NOBODY_THERE)
            return
        async with asyncio.TaskGroup() as group:
            for standing in rest if first.why == NOBODY else standings:
                group.create_task(self._try(standing))

    async def _expire(self) -> None:
        now = self._clock.now()
        for standing in await self._lane.do(partial(self._outbox.expired, self._me, now=now, limit=PAGE)):
            self._moves.mark(_expired(standing))
        await self._moves.flush()

    async def _try(self, standing: Standing, payload: bytes = b"") -> Delivered | None:
        """Hand one letter to the carrier; None when there is no connection."""
        letter = standing.letter
        self._flying.add(letter.letter_id)
        topic = topics.directed(letter.receiver, self._me) if letter.receiver else topics.broadcast(self._me)
        said = None
        try:
            said = await self._transport.publish(
                topic, payload or encode_letter(letter), properties=self._properties(letter)
            )
        except CarrierGone:
            logger.debug("letter waits for a connection", extra={"topic": topic})
        finally:
            self._flying.discard(letter.letter_id)
            self._launch()
        self._note(standing, said)
        return said

    def _properties(self, letter: Letter) -> Properties:
        left_s = math.ceil(letter.expires_at - self._clock.now()) if letter.expires_at else None
        # Nothing that its topic tells already: packing properties costs more than the rest of a publish.
        return NONE if left_s is None else Properties(expiry_s=max(left_s, 1))

    def _note(self, standing: Standing, said: Delivered | None) -> None:
        letter, tries, now = standing.letter, standing.tries + 1, self._clock.now()
        state, why = standing.state, standing.why
        timing, again = self._timing, None
        if said is None:
            # Not a try: the letter never left.
            again, tries, why = now, standing.tries, "no connection"
            self._behind = True
        elif is_to_all(letter.receiver) and said is not Delivered.REFUSED:
            state, why = LetterState.SENT, "" if said is Delivered.ACCEPTED else NOBODY
        elif said is Delivered.ACCEPTED and is_neighbour(letter.receiver):
            state, why = LetterState.SENT, NO_RECEIPTS
        elif said is Delivered.ACCEPTED:
            again = now + _wait(tries, timing.receipt_s, timing.receipt_most_s)
            state, why = LetterState.SENT, ""
        elif said is Delivered.NOBODY_THERE:
            again, why = now + _wait(tries, timing.nobody_s, timing.nobody_most_s), NOBODY
        elif tries < REFUSED_TRIES:
            again, why = now + _wait(tries, timing.nobody_s, timing.nobody_most_s), "refused by the carrier"
        else:
            state, why = LetterState.REFUSED, "refused by the carrier"
        if again is not None and letter.expires_at:
            again = min(again, letter.expires_at + (timing.grace_s if state is LetterState.SENT else 0))
        self._moves.mark(Mark(letter.letter_id, state, why, tries, again))
        if again is not None:
            self._be_awake_at(again)

    def _be_awake_at(self, moment: float) -> None:
        # The store does not know of it yet: marks are written behind.
        self._soonest = min(self._soonest, moment)
        if moment < self._alarm:
            self._wake.set()


def _wait(tries: int, first_s: float, most_s: float) -> float:
    return float(min(first_s * 2 ** min(tries - 1, 20), most_s))


def _expired(standing: Standing) -> Mark:
    why = standing.why or "no receipt came before it expired"
    return Mark(standing.letter.letter_id, LetterState.EXPIRED, why, standing.tries, None)
