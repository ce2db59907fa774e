"""An agent of ours that is an agent of swarmbus too: a transport that speaks both, on one connection."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import BusError, UsageError
from agentorchestr.model import swarmbus
from agentorchestr.model.carrier import LETTERS_ROOT, Delivered, Incoming, Properties, Transport, Will
from agentorchestr.model.mail import Address
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import Source, encode_card, status_properties
from agentorchestr.swarm.swarmbus_reading import presence_owner, read_letter, read_presence
from agentorchestr.swarm.swarmbus_wire import SPOKEN, presence_payload, written
from agentorchestr.swarm.wire import Unreadable, encode_letter

NONE = Properties()
PRESENCE_S = 180
"""Our presence there is told anew every minute; without a will of its own it is gone after this."""
WILL_DELAY_S = 5
SETTLES_S = 5.0
_THEIRS = f"{LETTERS_ROOT}/in/{swarmbus.ORG}/{swarmbus.NAME}/"
"""Letters to a neighbour are addressed like any other, and never travel so."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Read:
    """What a neighbour published, as if one of us had."""

    topic: str
    payload: bytes
    properties: Properties
    came: Incoming

    @property
    def retained(self) -> bool:
        return self.came.retained

    def acknowledge(self) -> None:
        self.came.acknowledge()


def presence_will(name: str) -> Will:
    """What the broker says of an agent that is gone without a word."""
    payload = presence_payload(name, online=False)
    return Will(swarmbus.presence(name), payload, retain=True, delay_s=WILL_DELAY_S)


class SwarmbusTransport:
    """Carries *me*'s letters as *carried* does, and those from and to agents of swarmbus in their form.

    With our own inbox it subscribes to the one there and to their broadcasts, with cards to their presence.
    A broadcast and our being here are told on both sides. Nothing that came from there is published again.
    *there* is a second connection for the inbox and presence there, with ``presence_will``; its owner enters
    and leaves it. Without it the one connection does all, and *shows* says whether *me* is there at all.

    Raises ``UsageError`` for an address without a name there.
    """

    def __init__(
        self,
        carried: Transport,
        me: Address,
        *,
        there: Transport | None = None,
        shows: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        try:
            self._name = swarmbus.name_of(me)
        except ValueError as exc:
            raise UsageError(str(exc), hint="its names are 1 to 64 of a-z 0-9 _ -") from exc
        self._carried = carried
        self._there = there
        self._back = asyncio.Event()
        self._me = me
        self._clock = clock
        self._shows = shows or there is not None
        self._card, self._all = topics.card(me), topics.broadcast(me)
        self._mine = topics.own_reply(me, "")
        self._inbox, everybody = topics.inbox_filters(me)
        self._beside = {everybody: swarmbus.BROADCAST, topics.CARDS: swarmbus.PRESENCES}
        if there is None:
            self._beside[self._inbox] = swarmbus.inbox(self._name)

    @property
    def connected(self) -> bool:
        """As the transport below."""
        return self._carried.connected

    async def publish(
        self, topic: str, payload: bytes, *, properties: Properties = NONE, retain: bool = False
    ) -> Delivered:
        """Publish as the transport below; to a neighbour in its form, to all in both."""
        if topic.startswith(_THEIRS):
            return await self._publish_there(topic.removeprefix(_THEIRS).split("/")[0], payload, properties)
        if topic.startswith(self._mine):
            await self._settle()
        said = await self._carried.publish(topic, payload, properties=properties, retain=retain)
        if topic == self._all and said is not Delivered.REFUSED:
            there = await self._publish_there(swarmbus.EVERYBODY, payload, properties)
            return Delivered.ACCEPTED if there is Delivered.ACCEPTED else said
        if topic == self._card and self._shows:
            await self._show(online=properties.user_value("a2a-status") != "offline")
        return said

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe, and to what belongs beside it. Raises ``CarrierRefused``."""
        beside = [self._beside[wanted] for wanted in filters if wanted in self._beside]
        await self._carried.subscribe([*filters, *beside])
        if self._there is not None and self._inbox in filters:
            await self._there.subscribe([swarmbus.inbox(self._name), swarmbus.presence(self._name)])

    async def messages(self) -> AsyncIterator[Incoming]:
        """Everything that comes in, as if all of it came from our own kind."""
        async for message in self._carried.messages() if self._there is None else self._merged(self._there):
            if not message.topic.startswith(f"{swarmbus.ROOT}/"):
                yield message
            elif (read := self._read(message)) is not None:
                yield read
            else:
                message.acknowledge()

    async def _merged(self, there: Transport) -> AsyncIterator[Incoming]:
        """What comes in on both connections; ends with the first of them."""
        came: asyncio.Queue[Incoming | None] = asyncio.Queue()

        async def pump(line: Transport) -> None:
            async for message in line.messages():
                if line is there and message.topic == swarmbus.presence(self._name):
                    message.acknowledge()
                    if not message.retained:
                        self._back.set()
                else:
                    came.put_nowait(message)
            came.put_nowait(None)

        async with asyncio.TaskGroup() as pumps:
            works = [pumps.create_task(pump(line)) for line in (self._carried, there)]
            while (message := await came.get()) is not None:
                yield message
            for work in works:
                work.cancel()

    async def _settle(self) -> None:
        """Return once what waited for us there has come in: what we say of ourselves comes back behind it."""
        if self._there is None or not self._there.connected:
            return
        self._back.clear()
        await self._show(online=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLES_S):
                await self._back.wait()

    async def wait_connected(self, *, timeout_s: float) -> bool:
        """As the transport below."""
        return await self._carried.wait_connected(timeout_s=timeout_s)

    async def _publish_there(self, to: str, payload: bytes, properties: Properties) -> Delivered:
        fields = json.loads(payload)
        if fields["kind"] not in SPOKEN:
            # Nobody there reads receipts; a task would only be lost.
            return Delivered.ACCEPTED if fields["kind"] == "receipt" else Delivered.REFUSED
        topic, envelope = written(fields, sender=self._me, to=to)
        return await self._carried.publish(
            topic, envelope, properties=Properties(expiry_s=properties.expiry_s)
        )

    async def _show(self, *, online: bool) -> None:
        try:
            said = await (self._there or self._carried).publish(
                swarmbus.presence(self._name),
                presence_payload(self._name, online=online),
                properties=Properties(expiry_s=PRESENCE_S) if online and self._there is None else NONE,
                retain=True,
            )
        except BusError as exc:
            logger.debug("presence not published", extra={"why": str(exc)})
        else:
            if said is Delivered.REFUSED:
                logger.warning("presence refused", extra={"topic": swarmbus.presence(self._name)})

    def _read(self, message: Incoming) -> _Read | None:
        return self._read_presence(message) if message.topic.endswith("/presence") else self._letter(message)

    def _letter(self, message: Incoming) -> _Read | None:
        try:
            letter = read_letter(message, me=self._me, now=self._clock.now())
            payload = b"" if letter is None else encode_letter(letter)
        except (Unreadable, UsageError) as exc:
            logger.warning("message of swarmbus refused", extra={"topic": message.topic, "why": str(exc)})
            return None
        if letter is None:
            return None
        to_all = letter.receiver is None
        topic = topics.broadcast(letter.sender) if to_all else topics.directed(self._me, letter.sender)
        return _Read(topic, payload, NONE, message)

    def _read_presence(self, message: Incoming) -> _Read | None:
        try:
            topic = topics.card(presence_owner(message.topic))
        except ValueError:
            return None
        if not message.payload:
            return _Read(topic, b"", NONE, message)
        card = read_presence(message)
        if card is None:
            return None
        told = status_properties(card, source=Source.AGENT, at=self._clock.now())
        return _Read(topic, encode_card(card), told, message)
