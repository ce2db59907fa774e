"""Artifacts over the carrier, fetched piece by piece.

Whoever wants one asks for each piece, a few at a time, so a slow side is never flooded. What came is on
disk; a fetch that was cut off goes on where it stopped, after a restart too.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from agentorchestr.errors import BusError, OrchestrError
from agentorchestr.model.carrier import Delivered, Incoming, Properties
from agentorchestr.model.mail import Address, Arrived, Letter, LetterKind
from agentorchestr.process import offload
from agentorchestr.swarm import topics
from agentorchestr.swarm.artifacts import KEPT_S, ArtifactRef, Shelf, Want, ref_of
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.giving import ERROR, LIFE_S, PIECE_BYTES, Giver, Question
from agentorchestr.swarm.task_wire import Offer, Update

PIECES_AT_ONCE = 4
FETCHES_AT_ONCE = 2
PIECE_S = 10.0
PIECE_TRIES = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
CLEAN_EVERY_S = 3600.0
NOBODY = "who has it is not there now"

logger = logging.getLogger(__name__)


class NotFetched(BusError):
    """An artifact is not here yet; the message says why."""


@dataclass(eq=False)
class _Pull:
    """A want that is being worked on."""

    want: Want
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = "it has not come yet"


class Artifacts:
    """One agent's artifacts. Make it before its exchange is entered, and enter it after.

    What letters and tasks name is fetched as they come in, while their sender is most likely there.
    """

    def __init__(self, exchange: Exchange, shelf: Shelf) -> None:
        self.shelf = shelf
        self._exchange = exchange
        self._me = exchange.me
        self._clock = exchange.clock
        self._pulls: dict[tuple[Address, ArtifactRef], _Pull] = {}
        """Who else has the same is asked as well: the first one may never come back."""
        self._questions: dict[bytes, asyncio.Future[bytes]] = {}
        self._arrived: list[Letter] = []
        self._fetches = asyncio.Semaphore(FETCHES_AT_ONCE)
        self._giver = Giver(exchange, shelf)
        self._group: asyncio.TaskGroup | None = None
        self._works: set[asyncio.Task[None]] = set()
        exchange.watch(self._see)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._stop)
            await self._exchange.listen([topics.get(self._me)], self._giver.take)
            await self._exchange.listen([topics.pieces(self._me)], self._hear_piece)
            self._work(self._giver.run())
            self._work(self._clean())
            arrived, self._arrived = self._arrived, []
            for letter in arrived:
                self._want_of(letter)
            await self.look()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.__aexit__(None, None, None)

    async def look(self) -> None:
        """Begin with what is noted as wanted, also by another process of ours."""
        for want in await offload(lambda: list(self.shelf.wanted(self._me))):
            self._begin(want)

    def look_soon(self) -> None:
        """As ``look``, without waiting."""
        self._work(self.look())

    async def fetch(self, owner: Address, ref: ArtifactRef, *, timeout_s: float) -> Path:
        """The file of an artifact, fetched if it is not here. Raises ``NotFetched``; it is tried further."""
        found = await offload(self.shelf.find, ref)
        if found is not None:
            return found
        pull = self._begin(Want(self._me, owner, ref, self._clock.now() + KEPT_S))
        pull.wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await pull.done.wait()
        found = await offload(self.shelf.find, ref)
        if found is None:
            raise NotFetched(
                f"not fetched from {owner}: {pull.why}", hint="it is tried further; ask again later"
            )
        return found

    async def bytes_of(self, body: str, owner: Address, *, timeout_s: float) -> bytes:
        """*body* as bytes, or the artifact it stands for. Raises ``NotFetched``."""
        ref = ref_of(body)
        if ref is None:
            return body.encode()
        return await offload((await self.fetch(owner, ref, timeout_s=timeout_s)).read_bytes)

    async def text_of(self, body: str, owner: Address, *, timeout_s: float) -> str:
        """*body*, or the text of the artifact it stands for, if that is one. Raises ``NotFetched``."""
        try:
            return (await self.bytes_of(body, owner, timeout_s=timeout_s)).decode()
        except UnicodeDecodeError:
            return body

    def _see(self, arrived: Arrived) -> None:
        if self._group is None:
            self._arrived.append(arrived.letter)
        else:
            self._want_of(arrived.letter)

    def _want_of(self, letter: Letter) -> None:
        ref = ref_of(_body_of(letter))
        if ref is not None:
            self._begin(Want(self._me, letter.sender, ref, letter.expires_at or self._clock.now() + KEPT_S))

    def _begin(self, want: Want) -> _Pull:
        key = (want.owner, want.ref)
        known = self._pulls.get(key)
        if known is not None or self._group is None:
            return known or _Pull(want, why="we are leaving")
        pull = self._pulls[key] = _Pull(want)
        self._work(self._pull(pull))
        return pull

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        if self._group is not None:
            task = self._group.create_task(work)
            self._works.add(task)
            task.add_done_callback(self._works.discard)

    def _stop(self) -> None:
        self._group = None
        for work in tuple(self._works):
            work.cancel()

    async def _pull(self, pull: _Pull) -> None:
        """Try until it is here or of no use any more."""
        want, pause_s = pull.want, FIRST_PAUSE_S
        try:
            while self._clock.now() < want.until and not await self._try(pull):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await pull.wake.wait()
                pull.wake.clear()
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            await offload(self.shelf.forget, want)
        finally:
            del self._pulls[want.owner, want.ref]
            pull.done.set()

    async def _try(self, pull: _Pull) -> bool:
        try:
            await offload(self.shelf.note, pull.want)
            return await self._is_here(pull.want)
        except (OrchestrError, OSError) as exc:
            pull.why = str(exc)
            logger.debug("artifact not fetched", extra={"owner": str(pull.want.owner), "why": pull.why})
            return False

    async def _is_here(self, want: Want) -> bool:
        if await offload(self.shelf.find, want.ref) is not None:
            await offload(self.shelf.keep, want.ref)
            return True
        async with self._fetches:
            offset = await offload(self.shelf.begun, want.ref, want.owner)
            while offset < want.ref.size:
                offset = await self._some(want, offset)
        if not await offload(self.shelf.finish, want.ref, want.owner):
            raise NotFetched("what came is not what was named")
        return True

    async def _some(self, want: Want, offset: int) -> int:
        """Fetch a few pieces; where the next one begins."""
        last = min(offset + PIECES_AT_ONCE * PIECE_BYTES, want.ref.size)
        starts = range(offset, last, PIECE_BYTES)
        found = await asyncio.gather(*(self._piece(want, start) for start in starts), return_exceptions=True)
        for start, piece in zip(starts, found, strict=True):
            if isinstance(piece, BaseException):
                raise piece
            await offload(self.shelf.add, want.ref, want.owner, start, piece)
        return last

    async def _piece(self, want: Want, start: int) -> bytes:
        size = min(PIECE_BYTES, want.ref.size - start)
        question = Question(ref=want.ref.write(), offset=start, size=size).model_dump_json().encode()
        for _ in range(PIECE_TRIES):
            with contextlib.suppress(TimeoutError):
                piece = await self._answer_to(want.owner, question)
                if len(piece) != size:
                    raise NotFetched("a piece has not the size that was asked for")
                return piece
        raise NotFetched("no answer in time")

    async def _answer_to(self, owner: Address, question: bytes) -> bytes:
        correlation = secrets.token_bytes(12)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._questions[correlation] = answer
        try:
            said = await self._exchange.transport.publish(
                topics.question(owner, self._me),
                question,
                properties=Properties(correlation=correlation, content_type=ERROR, expiry_s=LIFE_S),
            )
            if said is not Delivered.ACCEPTED:
                raise NotFetched(
                    NOBODY if said is Delivered.NOBODY_THERE else "the broker refused the question"
                )
            async with asyncio.timeout(PIECE_S):
                return await answer
        finally:
            del self._questions[correlation]

    def _hear_piece(self, message: Incoming) -> None:
        message.acknowledge()
        answer = self._questions.get(message.properties.correlation)
        if answer is None or answer.done():
            return
        if message.properties.content_type == ERROR:
            answer.set_exception(NotFetched(message.payload.decode(errors="replace")[:200]))
        else:
            answer.set_result(message.payload)

    async def _clean(self) -> None:
        while True:
            await offload(self.shelf.clean)
            await self._clock.pause(CLEAN_EVERY_S)


def _body_of(letter: Letter) -> str:
    """The text in a letter that may stand for an artifact."""
    if letter.kind is LetterKind.TASK:
        offer = Offer.read(letter)
        return offer.text if offer is not None else ""
    if letter.kind is LetterKind.TASK_UPDATE:
        update = Update.read(letter)
        return update.result if update is not None else ""
    return letter.body
