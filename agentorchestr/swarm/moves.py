"""How far each letter of ours got: what is known in memory, who waits for it, and its way to the store."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from agentorchestr.clock import Clock
from agentorchestr.errors import JournalError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_db import RANK
from agentorchestr.journal.mailbox_outbox import Mark, Receipt
from agentorchestr.model.mail import Address, LetterState, Standing
from agentorchestr.swarm.lane import ROW_BYTES, Lane

Listener = Callable[[str, LetterState, str], None]
"""Called with a letter's id, its new state and why; must not block."""

DISK_PAUSE_S = 1.0
WRITE_BEHIND_S = 0.05
"""Marks wait this long for company. What they hold, a restart finds out by trying again."""

logger = logging.getLogger(__name__)


class Moves:
    """The states of one sender's letters."""

    def __init__(self, lane: Lane, store: MailStore, me: Address, clock: Clock) -> None:
        self._lane = lane
        self._outbox = store.outbox
        self._me = me
        self._clock = clock
        self._marks: dict[str, Mark] = {}
        self._wake = asyncio.Event()
        self._waits: dict[str, list[tuple[LetterState, asyncio.Future[None]]]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell *listener* of every move from now on."""
        self._listeners.append(listener)

    def mark(self, mark: Mark) -> None:
        """Note what a try came to; written soon."""
        self._marks[mark.letter_id] = mark
        self._wake.set()
        if mark.state is not LetterState.STORED:
            self._tell(mark.letter_id, mark.state, mark.why)

    async def apply(self, receipts: Iterable[tuple[Address, Receipt]]) -> None:
        """Store what receivers say of our letters, in one transaction, then tell who waits."""
        listed = list(receipts)
        now = self._clock.now()
        moved = await self._lane.together(
            *(partial(self._outbox.apply, self._me, who, receipt, now=now) for who, receipt in listed),
            weighs=sum(ROW_BYTES * len(receipt.letter_ids) for _, receipt in listed),
        )
        for (_, receipt), letter_ids in zip(listed, moved, strict=True):
            if isinstance(letter_ids, list):
                for letter_id in letter_ids:
                    self._marks.pop(letter_id, None)
                    self._tell(letter_id, receipt.state, receipt.why)

    async def flush(self) -> None:
        """Write the marks that wait."""
        marks = list(self._marks.values())
        if not marks:
            return
        await self._lane.do(
            partial(self._outbox.mark, self._me, marks, now=self._clock.now()), weighs=ROW_BYTES * len(marks)
        )
        # Only now: who asks while they are written must find them in one place or the other.
        for mark in marks:
            if self._marks.get(mark.letter_id) is mark:
                del self._marks[mark.letter_id]

    async def run(self) -> None:
        """Write marks, many at a time."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._clock.pause(WRITE_BEHIND_S)
            try:
                await self.flush()
            except JournalError:
                logger.exception("states not written, trying again")
                await self._clock.pause(DISK_PAUSE_S)
                self._wake.set()

    async def find(self, letter_id: str) -> Standing | None:
        """How far a letter got; None for an unknown id."""
        stored = await self._lane.do(partial(self._outbox.find, self._me, letter_id))
        mark = self._marks.get(letter_id)
        if stored is None or mark is None or RANK[stored.state] > RANK[LetterState.SENT]:
            return stored
        return replace(
            stored, state=mark.state, why=mark.why, tries=mark.tries, next_try_at=mark.next_try_at or 0.0
        )

    async def wait_for(self, letter_id: str, state: LetterState, *, timeout_s: float) -> Standing | None:
        """How far the letter is once it got to *state* or its end, or after *timeout_s*."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits = self._waits.setdefault(letter_id, [])
        waits.append((state, future))
        try:
            found = await self.find(letter_id)
            if found is None or _enough(found.state, state):
                return found
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await future
        finally:
            waits.remove((state, future))
            if not waits:
                self._waits.pop(letter_id, None)
        return await self.find(letter_id)

    def _tell(self, letter_id: str, state: LetterState, why: str) -> None:
        for wanted, future in self._waits.get(letter_id, ()):
            if _enough(state, wanted) and not future.done():
                future.set_result(None)
        for listener in self._listeners:
            listener(letter_id, state, why)


def _enough(state: LetterState, wanted: LetterState) -> bool:
    return state.final or RANK[state] >= RANK[wanted]
