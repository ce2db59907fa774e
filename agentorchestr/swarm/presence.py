"""An agent's own card on the carrier: online while it is here, offline when it left."""

import asyncio
import contextlib
import logging
from dataclasses import replace

from agentorchestr.clock import Clock
from agentorchestr.errors import BusError
from agentorchestr.model.carrier import Incoming, Transport
from agentorchestr.model.mail import AgentCard
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import Source, decode_card, encode_card, status_properties

GATHER_S = 0.1
"""Changes of a card within this time go out as one."""

logger = logging.getLogger(__name__)


class Presence:
    """Keeps one card true. Published anew every *every_s*, so that a ghost can be told by its age."""

    def __init__(self, transport: Transport, card: AgentCard, *, clock: Clock, every_s: float) -> None:
        self._transport = transport
        self._card = card
        self._clock = clock
        self._every_s = every_s
        self._wake = asyncio.Event()

    @property
    def card(self) -> AgentCard:
        """The card as it was last shown."""
        return self._card

    def show(self, card: AgentCard) -> None:
        """Publish *card* from now on. Without a connection it goes out with the next one."""
        self._card = card
        self._wake.set()

    async def enter(self) -> None:
        """Say that we are here; without a connection, as soon as there is one."""
        if self._transport.connected:
            await self._publish(online=True)
        else:
            self._wake.set()

    async def leave(self) -> None:
        """Say that we are gone."""
        await self._publish(online=False)

    def see(self, message: Incoming) -> None:
        """Our own topic: a will of a lost connection, or of an earlier process, is corrected."""
        message.acknowledge()
        seen = decode_card(message, now=self._clock.now())
        if seen is None:
            return
        if not seen.online:
            self._wake.set()
        elif seen.instance != self._card.instance and not message.retained:
            logger.warning("somebody else uses this name", extra={"topic": message.topic})

    async def run(self) -> None:
        """Publish now and then, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._wake.wait()
            self._wake.clear()
            if await self._transport.wait_connected(timeout_s=self._every_s):
                await self._publish(online=True)
                await self._clock.pause(GATHER_S)

    async def _publish(self, *, online: bool) -> None:
        card = replace(self._card, online=online)
        try:
            await self._transport.publish(
                topics.card(card.address),
                encode_card(card),
                properties=status_properties(card, source=Source.AGENT, at=self._clock.now()),
                retain=True,
            )
        except BusError as exc:
            logger.debug("card not published", extra={"why": str(exc)})
