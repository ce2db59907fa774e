"""Receipts: what a receiver tells a sender of its letters, many ids at a time."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from functools import partial

from agentorchestr.clock import Clock
from agentorchestr.errors import BusError, JournalError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_outbox import Receipt
from agentorchestr.model.carrier import Properties, Transport
from agentorchestr.model.mail import Address, Letter, LetterKind, LetterState
from agentorchestr.model.swarmbus import is_neighbour
from agentorchestr.swarm import topics
from agentorchestr.swarm.ids import new_id
from agentorchestr.swarm.lane import Lane
from agentorchestr.swarm.outgoing import Outgoing
from agentorchestr.swarm.wire import RECEIPT_IDS, encode_letter, encode_receipt

GATHER_S = 0.01
"""After a receipt went out, the next waits this long for company; the first goes at once."""
GATHER_MOST_S = 0.2
"""After receipts for many senders the next wait longer: each has less company."""
QUICK_LIFE_S = 3600
LIFE_S = 7 * 86400.0
"""How long a sender is tried to be told what became of its letter."""

logger = logging.getLogger(__name__)


def receipt_letter(me: Address, to: Address, receipt: Receipt, *, now: float) -> Letter:
    """A receipt as a letter."""
    return Letter(
        letter_id=new_id(),
        sender=me,
        receiver=to,
        body=encode_receipt(receipt),
        kind=LetterKind.RECEIPT,
        content_type="application/json",
        created_at=now,
        expires_at=now + LIFE_S,
    )


class QuickReceipts:
    """``received`` and ``refused``: sent once, without a row; a lost one is asked for by the next arrival."""

    def __init__(self, transport: Transport, me: Address, clock: Clock) -> None:
        self._transport = transport
        self._me = me
        self._clock = clock
        self._owed: dict[tuple[Address, LetterState, str], list[str]] = {}
        self._wake = asyncio.Event()

    def owe(self, to: Address, letter_id: str, state: LetterState, why: str = "") -> None:
        """Tell *to* soon how far its letter is."""
        self._owed.setdefault((to, state, why), []).append(letter_id)
        self._wake.set()

    async def run(self) -> None:
        """Send what is owed, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            sent = await self.flush()
            await self._clock.pause(min(GATHER_S * sent, GATHER_MOST_S))

    async def flush(self) -> int:
        """Send what is owed now; to how many."""
        owed, self._owed = self._owed, {}
        async with asyncio.TaskGroup() as group:
            for (to, state, why), letter_ids in owed.items():
                for ids in batched(letter_ids, RECEIPT_IDS):
                    group.create_task(self._send(to, Receipt(state, ids, why)))
        return len(owed)

    async def _send(self, to: Address, receipt: Receipt) -> None:
        letter = receipt_letter(self._me, to, receipt, now=self._clock.now())
        try:
            await self._transport.publish(
                topics.directed(to, self._me),
                encode_letter(letter),
                properties=Properties(expiry_s=QUICK_LIFE_S),
            )
        except BusError as exc:
            logger.debug("receipt not sent", extra={"to": str(to), "why": str(exc)})


class Advances:
    """Later states: each is stored with the letter that tells it, in one transaction, so none is lost."""

    def __init__(
        self, lane: Lane, store: MailStore, me: Address, *, outgoing: Outgoing, clock: Clock
    ) -> None:
        self._lane = lane
        self._mail = store
        self._me = me
        self._outgoing = outgoing
        self._clock = clock
        self._asked: list[tuple[str, LetterState, asyncio.Future[bool]]] = []
        self._busy = asyncio.Lock()

    async def advance(self, letter_id: str, state: LetterState) -> bool:
        """Note how far a letter got here and tell its sender; False when it was as far or is unknown."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((letter_id, state, future))
        # Whoever holds the lock writes for all that came meanwhile.
        async with self._busy:
            if not future.done():
                await self._write()
        return await future

    async def _write(self) -> None:
        asked, self._asked = self._asked, []
        try:
            moved = await self._lane.do(partial(self._store, [(name, state) for name, state, _ in asked]))
        except asyncio.CancelledError:
            # The one who wrote is gone; the others still wait, and the next of them writes again.
            self._asked[:0] = asked
            raise
        except JournalError as exc:
            for _, _, future in asked:
                future.set_exception(exc)
            return
        self._outgoing.poke()
        for (_, _, future), has_moved in zip(asked, moved, strict=True):
            if not future.done():
                future.set_result(has_moved)

    def _store(self, asked: list[tuple[str, LetterState]]) -> list[bool]:
        """In the lane's thread and transaction: move the letters, and write what tells their senders."""
        now = self._clock.now()
        told: dict[tuple[Address, LetterState], list[str]] = {}
        moved = []
        for letter_id, state in asked:
            senders = self._mail.inbox.advance(self._me, letter_id, state, now=now)
            moved.append(bool(senders))
            for sender in senders:
                if is_neighbour(sender):
                    continue  # it knows no receipts
                told.setdefault((sender, state), []).append(letter_id)
        letters = [
            receipt_letter(self._me, sender, Receipt(state, tuple(ids)), now=now)
            for (sender, state), every in told.items()
            for ids in batched(every, RECEIPT_IDS)
        ]
        self._mail.outbox.put(letters, next_try_at=now, now=now)
        return moved


def batched(items: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """*items* in pieces of at most *size*."""
    return (tuple(items[start : start + size]) for start in range(0, len(items), size))
