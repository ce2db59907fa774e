"""A clock whose time passes when the test says so."""

import asyncio
import heapq
import itertools

from agentorchestr.clock import Clock

TURNS = 60
"""How often everybody gets a turn between two moments; more than any chain of replies here needs."""


class FakeClock(Clock):
    def __init__(self) -> None:
        self._now = 1_700_000_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._ids = itertools.count()
        self.paused: list[float] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now - 1_600_000_000.0

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._ids), woken))
        await woken

    async def settle(self) -> None:
        """Let everybody do what can be done now."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, waking each sleeper in its turn."""
        end = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not woken.done():
                woken.set_result(None)
            await self.settle()
        self._now = end
        await self.settle()
