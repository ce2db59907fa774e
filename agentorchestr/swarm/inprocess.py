"""A carrier inside this process, for machines without a broker: same port, same rights, this process only."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import (
    A2A_ROOT,
    LETTERS_ROOT,
    Delivered,
    Incoming,
    Properties,
    Will,
    leaves_out_own,
    packet_bytes,
    sayable,
)
from agentorchestr.model.mail import Address
from agentorchestr.swarm.topics import matches

PACKET_BYTES = 1024 * 1024
NONE = Properties()


@dataclass(frozen=True)
class _Message:
    topic: str
    payload: bytes
    properties: Properties
    until: float
    """On monotonic time; 0: for ever."""


class _Delivery:
    """One message on its way to one connection: an ``Incoming``."""

    def __init__(
        self, message: _Message, properties: Properties, *, retained: bool, session: "_Session", number: int
    ) -> None:
        self.topic = message.topic
        self.payload = message.payload
        self.properties = properties
        self.retained = retained
        self._session = session
        self._connection = session.connection
        self._number = number

    def acknowledge(self) -> None:
        """Let go of the message. After a cut it came again; the old one's word counts no more."""
        if self._connection is self._session.connection:
            self._session.kept.pop(self._number, None)


@dataclass
class _Session:
    """What the carrier keeps for a name, connected or not."""

    me: Address
    filters: set[str] = field(default_factory=set)
    kept: dict[int, tuple[_Message, bool]] = field(default_factory=dict)
    """Not acknowledged yet, in order, each with its retain flag."""
    connection: object = None
    """A new one for each connection."""
    incoming: "asyncio.Queue[Incoming | None] | None" = None
    transport: "InProcessTransport | None" = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class LocalCarrier:
    """Where the transports of one process meet."""

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._sessions: dict[Address, _Session] = {}
        self._retained: dict[str, _Message] = {}
        self._numbers = itertools.count()

    def connect(self, transport: "InProcessTransport", incoming: "asyncio.Queue[Incoming | None]") -> None:
        """Give *transport* its session; an older connection of the same name is cut."""
        session = self._sessions.setdefault(transport.me, _Session(transport.me))
        if session.transport is not None:
            session.transport.cut(stay_away=True)
            session = self._sessions.setdefault(transport.me, _Session(transport.me))
        for timer in session.timers:
            timer.cancel()
        session.timers.clear()
        session.transport, session.incoming, session.connection = transport, incoming, object()
        for number in list(session.kept):
            self._hand_over(session, number)

    def disconnect(self, transport: "InProcessTransport", *, cleanly: bool) -> None:
        """End a connection; after an unclean end the will is told, unless it comes back in time."""
        session = self._sessions[transport.me]
        session.transport = session.incoming = session.connection = None
        if transport.session_expiry_s == 0:
            del self._sessions[transport.me]
        loop = asyncio.get_running_loop()
        if transport.session_expiry_s:
            session.timers.append(
                loop.call_later(transport.session_expiry_s, self._sessions.pop, transport.me, None)
            )
        will = transport.will
        if will is not None and not cleanly:
            delay_s = min(will.delay_s, transport.session_expiry_s)
            session.timers.append(loop.call_later(delay_s, self._tell_will, transport.me, will))

    def subscribe(self, me: Address, filters: Iterable[str], *, fresh: bool) -> None:
        """Add *filters*; what is retained there comes, if *fresh* asks for it."""
        session = self._sessions[me]
        for wanted in filters:
            session.filters.add(wanted)
            for message in list(self._retained.values()) if fresh else ():
                if matches(wanted, message.topic) and may_read(me, message.topic):
                    self._offer(session, message, retained=True)

    def publish(
        self, sender: Address, topic: str, payload: bytes, *, properties: Properties, retain: bool
    ) -> Delivered:
        """Hand a message to all who listen."""
        if not sayable(topic, properties) or packet_bytes(topic, payload, properties) > PACKET_BYTES:
            return Delivered.REFUSED
        if not may_write(sender, topic):
            return Delivered.REFUSED
        expiry_s = properties.expiry_s
        until = 0.0 if expiry_s is None else self._clock.monotonic() + expiry_s
        message = _Message(topic, payload, properties, until)
        if retain and payload:
            self._retained[topic] = message
        elif retain:
            self._retained.pop(topic, None)
        heard = [session for session in self._sessions.values() if _hears(session, sender, topic)]
        for session in heard:
            self._offer(session, message, retained=False)
        return Delivered.ACCEPTED if heard else Delivered.NOBODY_THERE

    def _tell_will(self, me: Address, will: Will) -> None:
        self.publish(me, will.topic, will.payload, properties=will.properties, retain=will.retain)

    def _offer(self, session: _Session, message: _Message, *, retained: bool) -> None:
        number = next(self._numbers)
        session.kept[number] = (message, retained)
        self._hand_over(session, number)

    def _hand_over(self, session: _Session, number: int) -> None:
        message, retained = session.kept[number]
        properties = message.properties
        if message.until:
            left_s = message.until - self._clock.monotonic()
            if left_s <= 0:
                del session.kept[number]
                return
            properties = replace(properties, expiry_s=int(left_s) + 1)
        if session.incoming is not None:
            session.incoming.put_nowait(
                _Delivery(message, properties, retained=retained, session=session, number=number)
            )


class InProcessTransport:
    """One agent's connection to a ``LocalCarrier``."""

    def __init__(
        self,
        carrier: LocalCarrier,
        me: Address,
        *,
        will: Will | None = None,
        session_expiry_s: int = 86400,
    ) -> None:
        self.me = me
        self.will = will
        self.session_expiry_s = session_expiry_s
        self._carrier = carrier
        self._filters: dict[str, None] = {}
        self._incoming: asyncio.Queue[Incoming | None] = asyncio.Queue()
        self._connected = asyncio.Event()
        self._left = False

    async def __aenter__(self) -> Self:
        self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._left = True
        if self.connected:
            self._connected.clear()
            self._carrier.disconnect(self, cleanly=True)
        self._incoming.put_nowait(None)

    @property
    def connected(self) -> bool:
        """Whether messages go in and out now."""
        return self._connected.is_set()

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        properties: Properties = NONE,
        retain: bool = False,
    ) -> Delivered:
        """Publish. Raises ``CarrierGone`` after a cut."""
        if not self.connected:
            raise CarrierGone("the connection inside this process was cut")
        return self._carrier.publish(self.me, topic, payload, properties=properties, retain=retain)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe, now and after each cut."""
        self._filters.update(dict.fromkeys(filters))
        if self.connected:
            self._carrier.subscribe(self.me, filters, fresh=True)

    async def messages(self) -> AsyncIterator[Incoming]:
        """Everything that comes in, in order, for one reader; ends when the transport is left."""
        while (message := await self._incoming.get()) is not None:
            yield message
        self._incoming.put_nowait(None)

    async def wait_connected(self, *, timeout_s: float) -> bool:
        """Whether there is a connection within *timeout_s*."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError:
            return False
        return True

    def cut(self, *, stay_away: bool = False) -> None:
        """Break the connection without a word; it comes back at once unless it is to *stay_away*."""
        if self.connected:
            self._connected.clear()
            self._carrier.disconnect(self, cleanly=False)
        if not stay_away:
            asyncio.get_running_loop().call_soon(self._connect)

    def _connect(self) -> None:
        if self._left:
            return
        self._carrier.connect(self, self._incoming)
        self._carrier.subscribe(self.me, self._filters, fresh=False)
        self._connected.set()


def may_write(me: Address, topic: str) -> bool:
    """Whether *me* may publish to *topic*: the same rights as the private broker gives."""
    filters = (
        f"{LETTERS_ROOT}/in/+/+/+/{me}",
        f"{LETTERS_ROOT}/all/{me}",
        f"{LETTERS_ROOT}/get/+/+/+/{me}",
        f"{LETTERS_ROOT}/piece/+/+/+/{me}",
        f"{A2A_ROOT}/discovery/{me}",
        f"{A2A_ROOT}/request/+/+/+/#",
        f"{A2A_ROOT}/reply/+/+/+/#",
        f"{A2A_ROOT}/event/{me}/#",
    )
    return any(matches(wanted, topic) for wanted in filters)


def may_read(me: Address, topic: str) -> bool:
    """Whether what stands in *topic* reaches *me*: the same rights as the private broker gives."""
    filters = (
        f"{LETTERS_ROOT}/in/{me}/#",
        f"{LETTERS_ROOT}/all/#",
        f"{LETTERS_ROOT}/get/{me}/#",
        f"{LETTERS_ROOT}/piece/{me}/#",
        f"{A2A_ROOT}/discovery/#",
        f"{A2A_ROOT}/request/{me}/#",
        f"{A2A_ROOT}/reply/{me}/#",
        f"{A2A_ROOT}/event/#",
    )
    return any(matches(wanted, topic) for wanted in filters)


def _hears(session: _Session, sender: Address, topic: str) -> bool:
    own = session.me == sender
    return may_read(session.me, topic) and any(
        matches(wanted, topic) and not (own and leaves_out_own(wanted)) for wanted in session.filters
    )
