"""Hand letters to a function of somebody else's, and send what it returns as the answer."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from agentorchestr.bus.calls import FAULT_TYPE
from agentorchestr.bus.letters import Options, fitted, make_letter
from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.model.mail import Arrived, Letter, LetterKind, LetterState
from agentorchestr.process import offload
from agentorchestr.swarm.artifacts import ref_of
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.fetching import Artifacts

A = TypeVar("A")
T = TypeVar("T")
Answer = str | None
Handler = Callable[[Letter], Answer | Awaitable[Answer]]
"""Gets a letter, may be plain or ``async``; a text it returns goes back as the answer."""
BEGUN_AT_ONCE = 1000
FAULT_CHARS = 2000
BODY_S = 60.0
"""How long a large body may take to come; it is fetched as its letter comes in."""
SERVED = tuple(kind for kind in LetterKind if kind in {LetterKind.NOTE, LetterKind.ASK, LetterKind.ANSWER})

logger = logging.getLogger(__name__)


async def call(function: Callable[[A], T | Awaitable[T]], given: A) -> T:
    """Call a plain function in a thread, and any other here."""
    method = inspect.getattr_static(type(function), "__call__", None)
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method)
    result = function(given) if is_async else await offload(function, given)
    return await result if inspect.isawaitable(result) else result


async def handed(handler: Handler, letter: Letter) -> bool:
    """Whether *handler* took *letter*; a failure is logged."""
    [result] = await asyncio.gather(call(handler, letter), return_exceptions=True)
    if isinstance(result, BaseException):
        logger.error("letter not handed over", exc_info=result, extra={"letter_id": letter.letter_id})
        return False
    return True


class Serving:
    """Runs one handler over an agent's letters, at most *limit* at a time.

    A letter counts as acted on when its handler returned; one whose handler was cut off by the end of the
    process is handed out again first thing after the next start.
    """

    def __init__(self, exchange: Exchange, artifacts: Artifacts, handler: Handler, *, limit: int) -> None:
        self._exchange = exchange
        self._artifacts = artifacts
        self._handler = handler
        self._places = asyncio.Semaphore(limit)
        self._seen: set[str] = set()

    async def run(self, letters: AsyncIterator[Letter]) -> None:
        """Serve for ever."""
        async with asyncio.TaskGroup() as group:
            for arrived in await self._begun():
                await self._start(group, arrived.letter)
            async for letter in letters:
                if letter.letter_id not in self._seen:
                    await self._start(group, letter)
                if self._places.locked():
                    # With one place, a letter stays unhandled on disk until its handler returned.
                    await self._free_place()

    async def _begun(self) -> Sequence[Arrived]:
        exchange = self._exchange
        return await exchange.lane.do(
            lambda: exchange.store.inbox.in_states(
                exchange.me, [LetterState.TURN_STARTED], limit=BEGUN_AT_ONCE, kinds=SERVED
            )
        )

    async def _start(self, group: asyncio.TaskGroup, letter: Letter) -> None:
        self._seen.add(letter.letter_id)
        await self._places.acquire()
        try:
            await self._exchange.advance(letter.letter_id, LetterState.TURN_STARTED)
        except BaseException:
            self._places.release()
            raise
        group.create_task(self._serve(letter))

    async def _free_place(self) -> None:
        async with self._places:
            return

    async def _serve(self, letter: Letter) -> None:
        try:
            [result] = await asyncio.gather(self._call(letter), return_exceptions=True)
            await self._finish(letter, result)
        except OrchestrError:
            logger.exception("letter not answered", extra={"letter_id": letter.letter_id})
        finally:
            self._places.release()

    async def _call(self, letter: Letter) -> Answer:
        """Call the handler with the whole body, if that is a text."""
        body = await self._artifacts.text_of(letter.body, letter.sender, timeout_s=BODY_S)
        ref = ref_of(letter.body)
        if ref is not None and body is not letter.body:
            letter = replace(letter, body=body, content_type=ref.content_type)
        return await call(self._handler, letter)

    async def _finish(self, letter: Letter, result: Answer | BaseException) -> None:
        wants_answer = letter.kind is LetterKind.ASK
        failed = isinstance(result, BaseException)
        if isinstance(result, BaseException):
            logger.error("handler failed", exc_info=result, extra={"letter_id": letter.letter_id})
            if wants_answer:
                await self._answer(letter, f"{type(result).__name__}: {result}"[:FAULT_CHARS], FAULT_TYPE)
        elif result is not None or wants_answer:
            await self._answer(letter, "" if result is None else str(result), "text/plain")
        await self._exchange.advance(letter.letter_id, LetterState.READ if failed else LetterState.ACTED)

    async def _answer(self, letter: Letter, text: str, content_type: str) -> None:
        options = Options(content_type=content_type, answers=letter.letter_id, thread=letter.thread)
        to = letter.reply_to or letter.sender
        try:
            text, options = await offload(fitted, self._artifacts.shelf, text, options)
        except UsageError as exc:
            text, options = str(exc), replace(options, content_type=FAULT_TYPE)
        answer = make_letter(self._exchange.me, to, text, options)
        await self._exchange.send(answer)
