"""The one way from coroutines to the mail store: calls that wait together are committed together."""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from typing import TypeVar, cast

from agentorchestr.errors import JournalError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.process import offload

T = TypeVar("T")
Call = Callable[[], object]

logger = logging.getLogger(__name__)


class Lane:
    """Runs store calls in a thread, in order. While one transaction is written, the next one fills."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._waiting: list[tuple[tuple[Call, ...], asyncio.Future[list[object]]]] = []
        self._wake = asyncio.Event()
        self._closing = False

    async def do(self, call: Callable[[], T]) -> T:
        """Run *call*; on disk when this returns. Raises ``JournalError``."""
        return cast("T", (await self._queue((call,)))[0])

    async def together(self, *calls: Call) -> list[object]:
        """Run *calls* in one transaction. Raises ``JournalError``."""
        return await self._queue(calls)

    def later(self, call: Call) -> None:
        """Run *call* soon, for what a lost commit does not hurt; a failure is logged."""
        self._queue((call,)).add_done_callback(_log_failure)

    def close(self) -> None:
        """Let ``run`` return once everything that waits is written."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Write until ``close``."""
        while self._waiting or not self._closing:
            if not self._waiting:
                await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if batch:
                await self._write(batch)

    def _queue(self, calls: tuple[Call, ...]) -> asyncio.Future[list[object]]:
        future: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self._waiting.append((calls, future))
        self._wake.set()
        return future

    async def _write(self, batch: list[tuple[tuple[Call, ...], asyncio.Future[list[object]]]]) -> None:
        try:
            results = await offload(self._store.run, [call for calls, _ in batch for call in calls])
        except JournalError as exc:
            for _, future in batch:
                if not future.done():
                    future.set_exception(exc)
            return
        rest = iter(results)
        for calls, future in batch:
            mine = list(islice(rest, len(calls)))
            if not future.done():
                future.set_result(mine)


def _log_failure(future: asyncio.Future[list[object]]) -> None:
    if not future.cancelled() and (failure := future.exception()) is not None:
        logger.error("mail could not be written", extra={"why": str(failure)})
