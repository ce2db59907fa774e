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

T = TypeVar("T")
Call = Callable[[], object]

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    calls: tuple[Call, ...]
    future: asyncio.Future[list[object]]
    results: list[object] | JournalError | None = None


class Lane:
    """Runs store calls in a thread of its own, in order: while one transaction is written, the next fills."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mail", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin; what was asked for before is done now."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Return once everything that was asked for is written."""
        await self._queue((_nothing,))
        self._jobs.put(None)

    async def do(self, call: Callable[[], T]) -> T:
        """Run *call*; on disk when this returns. Raises ``JournalError``."""
        return cast("T", (await self._queue((call,)))[0])

    async def together(self, *calls: Call) -> list[object]:
        """Run *calls* in one transaction. Raises ``JournalError``."""
        return await self._queue(calls)

    def later(self, call: Call) -> asyncio.Future[list[object]]:
        """Run *call* soon, without waiting; a failure is logged."""
        future = self._queue((call,))
        future.add_done_callback(_log_failure)
        return future

    def _queue(self, calls: tuple[Call, ...]) -> asyncio.Future[list[object]]:
        if self._loop is not None and not self._thread.is_alive():
            raise JournalError("the mail thread has ended")
        future: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(calls, future))
        return future

    def _work(self) -> None:
        """In the thread: commit whatever waits, until told to end."""
        while (first := self._jobs.get()) is not None:
            batch, ended = [first], False
            with suppress(queue.Empty):
                while not ended:
                    job = self._jobs.get_nowait()
                    ended = job is None
                    if job is not None:
                        batch.append(job)
            self._commit(batch)
            if ended:
                return

    def _commit(self, batch: list[_Job]) -> None:
        try:
            with self._store.together():
                for job in batch:
                    job.results = [call() for call in job.calls]
        except JournalError as exc:
            self._answer(batch, failure=exc)
        except BaseException as exc:
            self._answer(batch, failure=JournalError(f"mail was not written: {exc!r}"))
            raise
        else:
            self._answer(batch)

    def _answer(self, batch: list[_Job], *, failure: JournalError | None = None) -> None:
        for job in batch:
            job.results = job.results if failure is None else failure
        if self._loop is not None:
            # A loop that was closed has nobody left to be told.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_tell, batch)


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
