"""Pieces of artifacts for those who ask: only what a letter of ours named to them."""

import asyncio
import logging
from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agentorchestr.errors import OrchestrError
from agentorchestr.model.carrier import Incoming, Properties
from agentorchestr.model.mail import Address
from agentorchestr.process import offload
from agentorchestr.swarm import topics
from agentorchestr.swarm.artifacts import ARTIFACT_BYTES, ArtifactRef, Shelf, ref_of
from agentorchestr.swarm.exchange import Exchange

PIECE_BYTES = 64 * 1024
AT_ONCE = 4
WAITING = 256
"""Questions above it are let go; they are asked again."""
GRANTS_KEPT = 4096
LIFE_S = 60
"""Questions and pieces are of no use after this."""
ERROR = "application/json"
"""The content type of an answer that is no piece."""

logger = logging.getLogger(__name__)


class Question(BaseModel):
    """Somebody asks for a piece of an artifact."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    ref: Annotated[str, Field(max_length=2000)]
    offset: Annotated[int, Field(ge=0, lt=ARTIFACT_BYTES)]
    size: Annotated[int, Field(gt=0, le=PIECE_BYTES)]


class Giver:
    """Answers questions for one agent's artifacts, a few at a time."""

    def __init__(self, exchange: Exchange, shelf: Shelf) -> None:
        self._exchange = exchange
        self._me = exchange.me
        self._shelf = shelf
        self._granted: set[tuple[Address, str]] = set()
        self._asked: asyncio.Queue[Incoming] = asyncio.Queue(WAITING)

    def take(self, message: Incoming) -> None:
        """Take one question."""
        message.acknowledge()
        try:
            self._asked.put_nowait(message)
        except asyncio.QueueFull:
            logger.debug("question for an artifact let go", extra={"topic": message.topic})

    async def run(self) -> None:
        """Answer for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._answer_all())

    async def _answer_all(self) -> None:
        while True:
            message = await self._asked.get()
            try:
                await self._answer(message)
            except (OrchestrError, ValueError) as exc:
                why = type(exc).__name__
                logger.debug("question for an artifact not answered", extra={"why": why})

    async def _answer(self, message: Incoming) -> None:
        """Answer one question. Raises ``ValueError`` for what is none."""
        asker = topics.sender_of(message.topic)
        asked = Question.model_validate_json(message.payload)
        ref = ref_of(asked.ref)
        piece = None
        if ref is not None and await self._named_to(asker, ref):
            piece = await offload(self._shelf.piece, ref, asked.offset, asked.size)
        await self._exchange.transport.publish(
            topics.piece(asker, self._me),
            b"there is no such artifact for you" if piece is None else piece,
            properties=Properties(
                correlation=message.properties.correlation,
                content_type=ERROR if piece is None else "application/octet-stream",
                expiry_s=LIFE_S,
            ),
        )

    async def _named_to(self, asker: Address, ref: ArtifactRef) -> bool:
        """Whether a letter of ours named it to *asker*, or to everybody."""
        key = (asker, ref.sha256)
        if key not in self._granted:
            outbox = self._exchange.store.outbox
            if not await self._exchange.lane.do(partial(outbox.mentions, self._me, asker, ref.sha256)):
                return False
            if len(self._granted) >= GRANTS_KEPT:
                self._granted.clear()
            self._granted.add(key)
            await offload(self._shelf.keep, ref)
        return True
