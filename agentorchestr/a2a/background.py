"""A task beside the body of an ``async with``."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self


class Background:
    """Runs *work* while entered, and cancels it at the end. An error of the body stays what it is.

    An error of *work* cancels the body and is raised as an ``ExceptionGroup``, as ever in a ``TaskGroup``.
    """

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._task = self._group.create_task(self._work)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        # Any other error of the body is none of the group's business, which would wrap it.
        cancelled = exc if isinstance(exc, asyncio.CancelledError) else None
        await self._group.__aexit__(type(cancelled) if cancelled else None, cancelled, None)
