"""Questions under way: each waits for the answer that names it."""

import asyncio
from collections.abc import Awaitable, Callable

from agentorchestr.bus.names import short_name
from agentorchestr.errors import BusError
from agentorchestr.model.mail import Letter, LetterState

FAULT_TYPE = "text/x-agentorchestr-fault"
"""The content type of an answer that says why there is none."""


class NoAnswer(BusError):
    """A question got no answer: in time, or at all."""


class Calls:
    """Matches answers with questions."""

    def __init__(self) -> None:
        self._waits: dict[str, asyncio.Future[Letter]] = {}

    async def take(self, answer: Letter) -> None:
        """Hand *answer* to whoever asked. Nobody does any more: it stays in the mail file, unread."""
        future = self._waits.get(answer.answers)
        if future is not None and not future.done():
            future.set_result(answer)

    def moved(self, letter_id: str, state: LetterState, why: str) -> None:
        """End the wait for an answer when the question got nowhere."""
        future = self._waits.get(letter_id)
        if future is not None and state in {LetterState.REFUSED, LetterState.EXPIRED} and not future.done():
            future.set_exception(NoAnswer(f"the question did not arrive: {why or state}"))

    async def ask(
        self, letter: Letter, send: Callable[[Letter], Awaitable[object]], *, timeout_s: float
    ) -> Letter:
        """Send *letter* and give its answer.

        Raises ``NoAnswer`` when none comes in time, and with the other side's words when it failed there.
        """
        name = short_name(letter.receiver) if letter.receiver else "anybody"
        future: asyncio.Future[Letter] = asyncio.get_running_loop().create_future()
        self._waits[letter.letter_id] = future
        try:
            async with asyncio.timeout(timeout_s):
                await send(letter)
                answer = await future
        except TimeoutError as exc:
            raise NoAnswer(f"no answer from {name} within {timeout_s:g} s") from exc
        finally:
            del self._waits[letter.letter_id]
        return checked(answer)


def checked(answer: Letter) -> Letter:
    """*answer*, unless it says that there is none. Raises ``NoAnswer``."""
    if answer.content_type == FAULT_TYPE:
        raise NoAnswer(f"{short_name(answer.sender)} could not answer: {answer.body}")
    return answer
