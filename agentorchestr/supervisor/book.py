"""The session's journal and its current view, for coroutines: facts in, changes out."""

import asyncio
from collections.abc import Callable, Sequence

from agentorchestr.errors import JournalError, StaleGeneration
from agentorchestr.journal.reducer import derive, step
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import Fact, Recorded
from agentorchestr.model.view import SessionView
from agentorchestr.process import offload

LONG_S = 3600.0
"""A wait without a limit of its own; it is simply begun again."""


class Book:
    """The one writer of a session. What ``record`` returned is on disk and in ``view``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writing = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._writes: set[asyncio.Task[list[Recorded]]] = set()
        self.view: SessionView = derive(journal.facts())
        self.trouble = ""
        """Why the last fact could not be stored, such as a full disk; empty when it could."""

    @property
    def generation(self) -> int:
        """Which supervisor of this session we are, counted from 1."""
        return self._journal.generation

    async def record(self, *facts: Fact) -> list[Recorded]:
        """Store *facts* in order, all or none."""
        return await self.decide(lambda _: facts)

    async def decide(self, choose: Callable[[SessionView], Sequence[Fact]]) -> list[Recorded]:
        """Store what *choose* makes of the current view; no other fact comes between the two.

        Whatever *choose* raises reaches the caller and stores nothing.
        """
        # A task of its own: a caller that is cancelled must not leave facts on disk which the view lacks.
        write = asyncio.create_task(self._decide(choose))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        return await asyncio.shield(write)

    async def _decide(self, choose: Callable[[SessionView], Sequence[Fact]]) -> list[Recorded]:
        async with self._writing:
            facts = choose(self.view)
            return await self._store(facts) if facts else []

    async def _store(self, facts: Sequence[Fact]) -> list[Recorded]:
        try:
            recorded = await offload(self._journal.append, facts)
        except StaleGeneration:
            raise
        except JournalError as exc:
            await self._tell(str(exc))
            raise
        for item in recorded:
            self.view = step(self.view, item)
        await self._tell("")
        return recorded

    async def _tell(self, trouble: str) -> None:
        self.trouble = trouble
        async with self._changed:
            self._changed.notify_all()

    async def wait_until(self, holds: Callable[[SessionView], bool], *, timeout_s: float) -> bool:
        """Whether *holds* came true within *timeout_s* seconds; looked at after each fact."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: holds(self.view))
        except TimeoutError:
            return holds(self.view)
        return True

    async def next_after(self, seq: int, *, timeout_s: float = LONG_S) -> None:
        """Wait for a fact above *seq*."""
        await self.wait_until(lambda view: view.last_seq > seq, timeout_s=timeout_s)

    async def facts(self, *, after: int, limit: int) -> list[Recorded]:
        """Stored facts above *after*, oldest first."""
        return await offload(self._journal.facts, after=after, limit=limit)
