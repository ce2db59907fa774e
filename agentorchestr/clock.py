"""The one clock, so that tests own time."""

import time
from collections.abc import Callable


class Clock:
    """Wall time for records, monotonic time for waits."""

    def now(self) -> float:
        """Seconds since the epoch, for facts that people read."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, for time limits."""
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Let *seconds* pass; the only sleep in the product."""
        # Half of what the command needs comes by here; asyncio is slow to load and seldom wanted.
        import asyncio

        await asyncio.sleep(seconds)

    def rest(self, seconds: float) -> None:
        """Let *seconds* pass in the thread of a driver, as between two keystrokes."""
        time.sleep(seconds)


SYSTEM_CLOCK = Clock()


def until(
    condition: Callable[[], bool],
    *,
    within_s: float,
    every_s: float = 0.01,
) -> bool:
    """Whether *condition* came true within *within_s* seconds (blocking; for start-up and shims)."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
