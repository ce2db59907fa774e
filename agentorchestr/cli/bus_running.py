"""Act under an agent's name for the time of one command, beside a running instance or in its place."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from agentorchestr.bus.bus import Bus
from agentorchestr.bus.line import Place
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Letter, LetterState, Standing

T = TypeVar("T")


def bus_of(place: Place, **more: Any) -> Bus:
    """A bus at *place*."""
    return Bus(
        place.me,
        broker=place.broker,
        login=place.login,
        login_file=place.login_file,
        compat=place.compat,
        env=place.env,
        **more,
    )


def send_and_wait(
    place: Place, letters: Sequence[Letter], state: LetterState, *, timeout_s: float
) -> list[Standing]:
    """Send *letters* and stay until each is at *state*, at its end, or *timeout_s* is over."""

    async def work() -> list[Standing]:
        async with bus_of(place) as bus:
            await bus.exchange.send_many(letters)
            async with asyncio.TaskGroup() as group:
                waits = [
                    group.create_task(bus.wait_for(letter.letter_id, state, timeout_s=timeout_s))
                    for letter in letters
                ]
            return [wait.result() for wait in waits]

    return asyncio.run(work())


def with_mail(place: Place, work: Callable[[MailStore], Awaitable[T]]) -> T:
    """Run *work* on the mail file while somebody receives: a running instance, else we ourselves.

    When it begins, everything that waited at the broker is in the file. A running instance is rung after.
    """
    if place.home.ring():

        async def beside() -> T:
            with place.home.open_store() as store:
                return await work(store)

        try:
            return asyncio.run(beside())
        finally:
            place.home.ring()

    async def instead() -> T:
        async with bus_of(place, takes_answers=False) as bus:
            await bus.caught_up()
            with place.home.open_store() as store:
                try:
                    return await work(store)
                finally:
                    bus.exchange.poke()

    return asyncio.run(instead())


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* to its end, or until Ctrl-C or a service stop; then it leaves in good order."""

    async def stoppable() -> None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGINT, signal.SIGTERM):
            if task is not None:
                loop.add_signal_handler(sig, task.cancel)
        await work

    try:
        asyncio.run(stoppable())
    except asyncio.CancelledError:
        return
