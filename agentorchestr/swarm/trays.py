"""Where letters wait for whoever handles them: in order, each handed out until it was handled."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Collection
from functools import partial

from agentorchestr.clock import Clock
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Address, Arrived, Letter, LetterKind
from agentorchestr.swarm.lane import ROW_BYTES, Lane

PAGE = 256
HELD = 2048
"""Letters kept in memory for one tray; more are read from the store when their turn comes."""


QUICK_S = 0.002
BEHIND = 32
"""Letters that may be handled before the first of them is noted on disk."""


class Tray:
    """The letters of some *kinds*, or of all *but* some. One reader at a time; a new one ends the old."""

    def __init__(
        self,
        lane: Lane,
        store: MailStore,
        me: Address,
        *,
        clock: Clock,
        kinds: Collection[LetterKind] = (),
        but: Collection[LetterKind] = (),
    ) -> None:
        self._lane = lane
        self._inbox = store.inbox
        self._me = me
        self._clock = clock
        self._kinds = kinds
        self._but = but
        self._held: deque[Arrived] = deque()
        self._last_row = 0
        self._more = True
        """The store holds letters behind the ones in memory."""
        self._came_while_paging = False
        self._wake = asyncio.Event()
        self._reader = 0

    def push(self, arrived: Arrived) -> None:
        """Take a letter that was just committed."""
        if self._more or len(self._held) >= HELD:
            self._more = self._came_while_paging = True
        elif arrived.row > self._last_row:
            self._held.append(arrived)
            self._last_row = arrived.row
        self._wake.set()

    async def letters(self) -> AsyncIterator[Letter]:
        """Letters nobody handled yet, then new ones as they come, for ever.

        A letter counts as handled when the next one is asked for. That is on disk before the next one comes,
        but for a reader quicker than ``QUICK_S``: of its letters, the last few may come again after a kill,
        as does the one that was out.
        """
        reader = self._take_over()
        noted: list[asyncio.Future[list[object]]] = []
        while True:
            await self._wait()
            if reader != self._reader:
                return
            arrived = self._held[0]
            given_at = self._clock.monotonic()
            yield arrived.letter
            if reader != self._reader:
                return
            self._held.popleft()
            noted.append(
                self._lane.later(partial(self._inbox.handle, self._me, (arrived.row,)), weighs=ROW_BYTES)
            )
            if len(noted) == BEHIND or self._clock.monotonic() - given_at > QUICK_S:
                await asyncio.wait(noted)
                noted.clear()

    async def take(self, *, limit: int, timeout_s: float) -> list[Letter]:
        """Up to *limit* waiting letters, each counted as handled; waits *timeout_s* for the first."""
        self._take_over()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s if timeout_s > 0 or not self._more else None):
                await self._wait(or_empty=timeout_s <= 0)
        taken = [self._held.popleft() for _ in range(min(limit, len(self._held)))]
        if taken:
            rows = [arrived.row for arrived in taken]
            await self._lane.do(partial(self._inbox.handle, self._me, rows))
        return [arrived.letter for arrived in taken]

    def _take_over(self) -> int:
        self._reader += 1
        self._wake.set()
        return self._reader

    async def _wait(self, *, or_empty: bool = False) -> None:
        """Until a letter is held, or another reader comes."""
        reader = self._reader
        while reader == self._reader and not self._held:
            if self._more:
                await self._page()
            elif or_empty:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _page(self) -> None:
        self._came_while_paging = False
        page = await self._lane.do(
            partial(
                self._inbox.waiting,
                self._me,
                after=self._last_row,
                limit=PAGE,
                kinds=self._kinds,
                but=self._but,
            )
        )
        self._held.extend(page)
        if page:
            self._last_row = page[-1].row
        self._more = len(page) == PAGE or self._came_while_paging
