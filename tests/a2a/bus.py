"""A carrier for tests: what a broker does, with everything written down and faults on order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import Delivered, Properties, Will
from agentorchestr.swarm.topics import matches

NONE = Properties()


@dataclass
class Packet:
    """An ``Incoming``, and a line of the record."""

    topic: str
    payload: bytes
    properties: Properties
    retained: bool = False
    sender: str = ""
    acknowledged: bool = False

    def acknowledge(self) -> None:
        self.acknowledged = True


@dataclass
class Bus:
    """Where the wires meet. ``record`` holds subscriptions and publishes in the order they came."""

    shares_dollar: bool = True
    record: list[tuple[str, str, Packet | str]] = field(default_factory=list)
    wires: "list[Wire]" = field(default_factory=list)
    retained: dict[str, Packet] = field(default_factory=dict)
    refuse: Callable[[Packet], bool] = lambda _: False
    lose: Callable[[Packet], bool] = lambda _: False
    twice: Callable[[Packet], bool] = lambda _: False
    _turn: int = 0

    def wire(self, client_id: str, *, will: Will | None = None) -> "Wire":
        return Wire(self, client_id, will)

    def published(self, fragment: str = "", sender: str = "") -> list[Packet]:
        """Every publish whose topic holds *fragment*."""
        return [
            packet
            for kind, who, packet in self.record
            if kind == "publish" and isinstance(packet, Packet) and fragment in packet.topic
            if not sender or who == sender
        ]

    def publish(self, packet: Packet, *, retain: bool) -> Delivered:
        self.record.append(("publish", packet.sender, packet))
        if self.refuse(packet):
            return Delivered.REFUSED
        if retain and packet.payload:
            self.retained[packet.topic] = packet
        elif retain:
            self.retained.pop(packet.topic, None)
        if self.lose(packet):
            return Delivered.ACCEPTED
        takers = [wire for wire in self.wires if wire.takes(packet.topic)]
        takers += self._sharers(packet.topic)
        for wire in takers:
            for _ in range(2 if self.twice(packet) else 1):
                wire.put(Packet(packet.topic, packet.payload, packet.properties, sender=packet.sender))
        return Delivered.ACCEPTED if takers else Delivered.NOBODY_THERE

    def _sharers(self, topic: str) -> "list[Wire]":
        groups: dict[str, list[Wire]] = {}
        for wire in self.wires:
            for wanted in wire.filters:
                head, *rest = wanted.split("/", 2)
                if head == "$share" and matches(rest[1], topic):
                    groups.setdefault(rest[0], []).append(wire)
        self._turn += 1
        works = self.shares_dollar or not topic.startswith("$")
        return [wires[self._turn % len(wires)] for wires in groups.values()] if works else []


class Wire:
    """A ``Transport``."""

    def __init__(self, bus: Bus, client_id: str, will: Will | None) -> None:
        self.bus = bus
        self.client_id = client_id
        self.will = will
        self.filters: list[str] = []
        self.up = asyncio.Event()
        self.incoming: asyncio.Queue[Packet | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self.bus.wires.append(self)
        self.up.set()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.incoming.put_nowait(None)
        if self in self.bus.wires:
            self.bus.wires.remove(self)
        self.up.clear()

    @property
    def connected(self) -> bool:
        return self.up.is_set()

    async def publish(
        self, topic: str, payload: bytes, *, properties: Properties = NONE, retain: bool = False
    ) -> Delivered:
        await asyncio.sleep(0)
        if not self.connected:
            raise CarrierGone("no connection")
        return self.bus.publish(Packet(topic, payload, properties, sender=self.client_id), retain=retain)

    async def subscribe(self, filters: Sequence[str]) -> None:
        for wanted in filters:
            self.bus.record.append(("subscribe", self.client_id, wanted))
            self.filters.append(wanted)
            for topic, packet in self.bus.retained.items():
                if matches(wanted, topic):
                    self.put(Packet(topic, packet.payload, packet.properties, retained=True))

    async def messages(self) -> AsyncIterator[Packet]:
        while (packet := await self.incoming.get()) is not None:
            yield packet
        self.incoming.put_nowait(None)

    async def wait_connected(self, *, timeout_s: float) -> bool:
        async with asyncio.timeout(timeout_s):
            return await self.up.wait()

    def put(self, packet: Packet) -> None:
        self.incoming.put_nowait(packet)

    def takes(self, topic: str) -> bool:
        return any(matches(wanted, topic) for wanted in self.filters)

    def cut(self) -> None:
        """Go without a word; the broker carries out the will."""
        self.bus.wires.remove(self)
        self.up.clear()
        if self.will is not None:
            packet = Packet(self.will.topic, self.will.payload, self.will.properties)
            self.bus.publish(packet, retain=self.will.retain)

    def back(self) -> None:
        """Be there again, with the same filters."""
        self.bus.wires.append(self)
        self.up.set()
        filters, self.filters = self.filters, []
        for wanted in filters:
            self.filters.append(wanted)
            for topic, packet in self.bus.retained.items():
                if matches(wanted, topic):
                    self.put(Packet(topic, packet.payload, packet.properties, retained=True))
