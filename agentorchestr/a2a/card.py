"""This agent's own card on the bus: shown, kept up to date, marked offline, taken away.

Rules D1 to D10 of the checklist in ``docs/a2a.md``.
"""

import asyncio
import logging
from collections import deque
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.background import Background
from agentorchestr.a2a.card_json import card_payload
from agentorchestr.a2a.tasks import Json
from agentorchestr.a2a.topics import PROFILE_TOPICS, Topics
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Delivered, Properties, Transport, Will
from agentorchestr.model.mail import Address

logger = logging.getLogger(__name__)

UPDATES_A_MINUTE = 10
WILL_DELAY_S = 5
"""A takeover or a short loss of the network is then no absence; the session must outlive it."""
LOOK_EVERY_S = 30.0
_MINUTE_S = 60.0
User = tuple[tuple[str, str], ...]


def will_for(me: Address, card: Json, *, topics: Topics = PROFILE_TOPICS, user: User = ()) -> Will:
    """What the broker is to publish when we are gone without a word. Goes into the connection."""
    return Will(
        topics.discovery(me),
        card_payload(card),
        properties=_status(names.OFFLINE, "lwt", user),
        retain=True,
        delay_s=WILL_DELAY_S,
    )


class CardPublisher:
    """Shows *card* as online while entered, and as offline afterwards.

    It reads its own topic, with a transport that is its own to read: when our will was carried out and we are
    here after all, the card is shown again. A broker may carry it out while it hands our session over and not
    tell us, so every *look_every_s* what is retained is asked for anew.
    """

    def __init__(
        self,
        transport: Transport,
        me: Address,
        card: Json,
        *,
        user: User = (),
        clock: Clock = SYSTEM_CLOCK,
        topics: Topics = PROFILE_TOPICS,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._transport = transport
        self._look_every_s = look_every_s
        self._topic = topics.discovery(me)
        self._payload = card_payload(card)
        self._user = user
        self._clock = clock
        self._sent_at: deque[float] = deque(maxlen=UPDATES_A_MINUTE)
        self._gone = False
        self._one_at_a_time = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._transport.subscribe([self._topic])
        await self._stack.enter_async_context(Background(self._keep()))
        await self.show()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._gone and self._transport.connected:
                await self._publish(self._payload, _status(names.OFFLINE, "agent", self._user))
        finally:
            await self._stack.__aexit__(kind, exc, trace)

    async def show(self) -> bool:
        """Publish the card as online. Whether the broker took it."""
        return await self._publish(self._payload, _status(names.ONLINE, "agent", self._user))

    async def update(self, card: Json, *, user: User | None = None) -> bool:
        """Publish a changed card, whole. Waits when there were many within a minute.

        The will keeps the card as it was when the connection was made, until it is made anew.
        """
        self._payload = card_payload(card)
        self._user = self._user if user is None else user
        return await self.show()

    async def unregister(self) -> bool:
        """Take the card away: nothing is known of this agent afterwards."""
        self._gone = True
        return await self._publish(b"", Properties())

    async def _publish(self, payload: bytes, properties: Properties) -> bool:
        async with self._one_at_a_time:
            await self._keep_to_the_rate()
            try:
                delivered = await self._transport.publish(
                    self._topic, payload, properties=properties, retain=True
                )
            except (CarrierGone, CarrierRefused) as exc:
                logger.info("card not published", extra={"topic": self._topic, "reason": str(exc)})
                return False
            return delivered is not Delivered.REFUSED

    async def _keep_to_the_rate(self) -> None:
        now = self._clock.monotonic()
        if len(self._sent_at) == UPDATES_A_MINUTE and (wait := self._sent_at[0] + _MINUTE_S - now) > 0:
            await self._clock.pause(wait)
        self._sent_at.append(self._clock.monotonic())

    async def _keep(self) -> None:
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look())
            await self._watch()
            looking.cancel()

    async def _look(self) -> None:
        while True:
            await self._clock.pause(self._look_every_s)
            try:
                await self._transport.subscribe([self._topic])
            except CarrierRefused as exc:
                logger.info("own card not readable", extra={"topic": self._topic, "reason": str(exc)})

    async def _watch(self) -> None:
        async for incoming in self._transport.messages():
            incoming.acknowledge()
            if incoming.topic == self._topic and not self._gone and _from_will(incoming.properties):
                await self.show()


def _from_will(properties: Properties) -> bool:
    return (names.STATUS_SOURCE, "lwt") in properties.user


def _status(status: str, source: str, user: User) -> Properties:
    own = ((names.STATUS, status), (names.STATUS_SOURCE, source))
    return names.json_properties(user=(*own, *user))
