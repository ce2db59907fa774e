"""Waits with a limit that the clock owns, so that tests own time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from agentorchestr.clock import Clock

T = TypeVar("T")


async def within(clock: Clock, seconds: float, wait: Coroutine[Any, Any, T]) -> T | None:
    """What *wait* comes to, or None when *seconds* pass first; *wait* itself must not raise."""
    async with asyncio.TaskGroup() as group:
        answer = group.create_task(wait)
        limit = group.create_task(clock.pause(seconds))
        try:
            await asyncio.wait({answer, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            answer.cancel()
    return None if answer.cancelled() else answer.result()
