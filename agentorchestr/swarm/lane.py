"""The one way from coroutines to the mail store: calls that wait together are committed together."""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar, cast

from agentorchestr.errors import JournalError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_db import MailBusy

T = TypeVar("T")
Call = Callable[[], object]

AT_ONCE_BYTES = 256 * 1024
"""So much is written right here, in some 3 ms; a thread is worth its way only for more."""
ROW_BYTES = 512
"""What a row weighs, beside the body of a letter."""
HEAVY = AT_ONCE_BYTES + 1
CHECKPOINT_EVERY = 2000

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    calls: tuple[Call, ...]
    future: asyncio.Future[list[object]]
    weighs: int
    results: list[object] | JournalError | None = None


class Lane:
    """Runs store calls in order, in a thread of its own: while one transaction is written, the next fills.

    Calls that weigh little, when nothing else is under way, are written on the loop itself: in WAL mode
    without a checkpoint that is memory work, 40 µs for one letter and 10 for each that comes with it, and the
    way to a thread and back takes longer. Such a write never waits: not for the disk, which the thread does
    apart, and not for another process.
    """

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._waiting: list[_Job] = []
        self._batches: queue.SimpleQueue[list[_Job] | Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mail", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._checkpoint: Call = _nothing
        self._since_checkpoint = 0
        self._is_away = False
        """The thread has a batch."""
        self._is_due = False
        """A look at what waits is scheduled."""

    def start(self) -> None:
        """Begin; what was asked for before is done now."""
        self._loop = asyncio.get_running_loop()
        self._checkpoint = self._store.checkpoint_apart()
        self._thread.start()
        self._look_soon()

    async def close(self) -> None:
        """Return once everything that was asked for is written."""
        await self._queue((_nothing,), weighs=HEAVY)
        self._batches.put(self._checkpoint)
        self._batches.put(None)

    async def do(self, call: Callable[[], T], *, weighs: int = HEAVY) -> T:
        """Run *call*; on disk when this returns. Raises ``JournalError``.

        *weighs*: how many bytes it writes, about.
        """
        return cast("T", (await self._queue((call,), weighs=weighs))[0])

    async def together(self, *calls: Call, weighs: int = HEAVY) -> list[object]:
        """Run *calls* in one transaction. Raises ``JournalError``."""
        return await self._queue(calls, weighs=weighs)

    def later(self, call: Call, *, weighs: int = HEAVY) -> asyncio.Future[list[object]]:
        """Run *call* soon, without waiting; a failure is logged."""
        future = self._queue((call,), weighs=weighs)
        future.add_done_callback(_log_failure)
        return future

    def _queue(self, calls: tuple[Call, ...], *, weighs: int) -> asyncio.Future[list[object]]:
        if self._loop is not None and not self._thread.is_alive():
            raise JournalError("the mail thread has ended")
        future: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(calls, future, weighs))
        self._look_soon()
        return future

    def _look_soon(self) -> None:
        if self._loop is not None and self._waiting and not self._is_due and not self._is_away:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Write what came during one turn of the loop, here or in the thread."""
        self._is_due = False
        batch, self._waiting = self._waiting, []
        self._since_checkpoint += len(batch)
        if sum(job.weighs for job in batch) <= AT_ONCE_BYTES and self._write_here(batch):
            _tell(batch)
        else:
            self._is_away = True
            self._batches.put(batch)
        if self._since_checkpoint >= CHECKPOINT_EVERY:
            self._since_checkpoint = 0
            self._batches.put(self._checkpoint)

    def _write_here(self, batch: list[_Job]) -> bool:
        try:
            self._commit(batch, wait=False)
        except MailBusy:
            return False
        return True

    def _commit(self, batch: list[_Job], *, wait: bool) -> None:
        try:
            with self._store.together(wait=wait):
                for job in batch:
                    job.results = [call() for call in job.calls]
        except MailBusy:
            raise
        except JournalError as exc:
            for job in batch:
                job.results = exc

    def _work(self) -> None:
        """In the thread: write batches, until told to end."""
        while (batch := self._batches.get()) is not None:
            if not isinstance(batch, list):
                with suppress(JournalError):
                    batch()
                continue
            for job in batch:
                job.results = JournalError("the mail thread broke off")
            try:
                self._commit(batch, wait=True)
            finally:
                # A loop that was closed has nobody left to be told.
                with suppress(RuntimeError):
                    cast("asyncio.AbstractEventLoop", self._loop).call_soon_threadsafe(self._come_back, batch)

    def _come_back(self, batch: list[_Job]) -> None:
        self._is_away = False
        _tell(batch)
        self._look_soon()


def _tell(batch: list[_Job]) -> None:
    for job in batch:
        if job.future.done():
            continue
        if isinstance(job.results, JournalError):
            job.future.set_exception(job.results)
        else:
            job.future.set_result(job.results or [])


def _nothing() -> None:
    """Take a place in the lane."""


def _log_failure(future: asyncio.Future[list[object]]) -> None:
    if not future.cancelled() and (failure := future.exception()) is not None:
        logger.error("mail could not be written", extra={"why": str(failure)})
