"""The cards of other agents, as they stand on the bus now.

Rules S1 to S7 of the checklist in ``docs/a2a.md``. A status is advice: it never says that an agent answers.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.background import Background
from agentorchestr.a2a.card_json import parse_card
from agentorchestr.a2a.tasks import Json
from agentorchestr.a2a.topics import PROFILE_TOPICS, Topics
from agentorchestr.a2a.waiting import within
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.model.carrier import Incoming, Transport
from agentorchestr.model.mail import Address

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeenCard:
    """A card and what was said about its agent."""

    address: Address
    card: Json
    status: str
    """``online``, ``offline`` or empty when nobody said."""
    source: str
    """Who said so: ``agent``, ``lwt`` or ``broker``."""
    user: tuple[tuple[str, str], ...]
    seen_at: float

    @property
    def offline(self) -> bool:
        """Whether the agent was said to be away; no status is not away."""
        return self.status == names.OFFLINE


class CardWatcher:
    """Follows the cards of one unit, or of a whole organisation; enter it with ``async with``."""

    def __init__(
        self,
        transport: Transport,
        org: str,
        unit: str = "+",
        *,
        clock: Clock = SYSTEM_CLOCK,
        topics: Topics = PROFILE_TOPICS,
    ) -> None:
        self._transport = transport
        self._filter = topics.discovery_filter(org, unit)
        self._clock = clock
        self._topics = topics
        self._cards: dict[Address, SeenCard] = {}
        self._changed = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._transport.subscribe([self._filter])
        await self._stack.enter_async_context(Background(self._read()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    def cards(self) -> tuple[SeenCard, ...]:
        """Every card there is, by address."""
        return tuple(self._cards[address] for address in sorted(self._cards))

    def card_of(self, agent: Address) -> SeenCard | None:
        """The card of *agent*; none means unregistered, or not there."""
        return self._cards.get(agent)

    async def wait_until(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Whether *condition* came true, looked at again after each card that came."""
        deadline = self._clock.monotonic() + timeout_s
        while not condition():
            self._changed.clear()
            if await within(self._clock, deadline - self._clock.monotonic(), self._changed.wait()) is None:
                return condition()
        return True

    async def _read(self) -> None:
        async for incoming in self._transport.messages():
            self._take(incoming)
            incoming.acknowledge()
            self._changed.set()

    def _take(self, incoming: Incoming) -> None:
        address = self._topics.owner(incoming.topic)
        if address is None or incoming.topic != self._topics.discovery(address):
            return
        if not incoming.payload:
            self._cards.pop(address, None)
            return
        card = parse_card(incoming.payload)
        if card is None:
            logger.warning("card not readable", extra={"topic": incoming.topic})
            return
        status, source = names.status_of(incoming.properties)
        user = incoming.properties.user
        self._cards[address] = SeenCard(address, card, status, source, user, self._clock.now())
