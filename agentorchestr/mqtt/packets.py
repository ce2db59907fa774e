"""The two packets that nearly all traffic is made of, PUBLISH and PUBACK: written and read by hand.

paho does the rest of a connection; for a letter it would take longer than the journal does. CONNACK is read
here for commands, which do without paho. What is wrong raises ``ValueError``, ``IndexError`` or
``struct.error``. Source: MQTT 5.0, sections 2.1, 2.2, 3.2, 3.3 and 3.4.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from agentorchestr.model.carrier import Properties
from agentorchestr.mqtt.knock import length, text

PUBLISH, PUBACK = 0x30, 0x40
_RETAIN, _QOS_1, _QOS = 0x01, 0x02, 0x06
_REPEATS = 0x80
_LENGTH_BYTES = 4
LARGEST_BYTES = 16 * 1024 * 1024
"""What a packet may have on its way in. A broker is told, and one that sends more is left."""
NONE = Properties()

_UTF8, _EXPIRY, _CONTENT_TYPE, _RESPONSE_TOPIC = 0x01, 0x02, 0x03, 0x08
_CORRELATION, _SUBSCRIPTION, _USER = 0x09, 0x0B, 0x26
_RECEIVE_MAXIMUM, _LARGEST_PACKET = 0x21, 0x27
_NUMBERS = {0x11: 4, 0x13: 2, _RECEIVE_MAXIMUM: 2, 0x22: 2, 0x24: 1, 0x25: 1, _LARGEST_PACKET: 4}
_NUMBERS |= {0x28: 1, 0x29: 1, 0x2A: 1}
"""The properties of a CONNACK that are numbers, and how many bytes each has."""
_TEXTS = frozenset({0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})


class Packet(NamedTuple):
    """One packet: the first byte, what follows its length, and all of it as it came."""

    first: int
    body: bytes
    whole: bytes


@dataclass(frozen=True, slots=True)
class Published:
    """A PUBLISH that came in. *mid* is 0 at QoS 0; the topic is not known to be text yet."""

    topic: bytes
    payload: bytes
    properties: Properties
    mid: int
    retained: bool


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a broker's CONNACK says. *packet_bytes* None: it set no limit."""

    reason: int
    receive_maximum: int = 65535
    packet_bytes: int | None = None


class Splitter:
    """Cuts what a socket gives into packets."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._missing = 1
        """So many bytes, at least, and the packet that began is complete."""

    def packets(self, came: bytes) -> Iterator[Packet]:
        """The packets that are complete now. Raises ``ValueError`` for one above ``LARGEST_BYTES``."""
        if len(came) < self._missing:
            self._parts.append(came)
            self._missing -= len(came)
            return
        stream = b"".join((*self._parts, came)) if self._parts else came
        start, end, self._missing = 0, len(stream), 1
        try:
            while end - start > 1:
                size, at = _length_at(stream, start + 1)
                if size > LARGEST_BYTES:
                    raise ValueError(f"a packet of {size:,} bytes")
                if at == 0 or at + size > end:
                    self._missing = max(at + size - end, 1)
                    break
                whole_at, start = start, at + size
                yield Packet(stream[whole_at], stream[at:start], stream[whole_at:start])
        finally:
            self._parts = [stream[start:]] if start < end else []


def _length_at(stream: bytes, start: int) -> tuple[int, int]:
    """A variable byte integer and where it ends; 0 for an end that has not come yet."""
    size = 0
    for place, low in enumerate(stream[start : start + _LENGTH_BYTES]):
        size |= (low & 0x7F) << 7 * place
        if low < _REPEATS:
            return size, start + place + 1
    if len(stream) - start >= _LENGTH_BYTES:
        raise ValueError("a length of more than four bytes")
    return 0, 0


def publish_packet(mid: int, topic: str, payload: bytes, properties: Properties, *, retain: bool) -> bytes:
    """A PUBLISH at QoS 1. Topic and properties are ``sayable``."""
    said = b"\x00" if properties == NONE else _written(properties)
    name = topic.encode()
    size = 2 + len(name) + 2 + len(said) + len(payload)
    head = bytes((PUBLISH | _QOS_1 | retain,))
    before, after = struct.pack(">H", len(name)), struct.pack(">H", mid)
    return b"".join((head, length(size), before, name, after, said, payload))


def puback_packet(mid: int) -> bytes:
    """A PUBACK that says all is well."""
    return struct.pack(">BBH", PUBACK, 2, mid)


def read_puback(body: bytes) -> tuple[int, int]:
    """The packet identifier and the reason code."""
    (mid,) = struct.unpack_from(">H", body)
    return mid, body[2] if len(body) > 2 else 0  # noqa: PLR2004 - after the identifier


def read_connack(body: bytes) -> Greeting:
    """Read a CONNACK; what an older broker leaves out stays at its default."""
    reason, limits = body[1], {_RECEIVE_MAXIMUM: 65535}
    size, at = _length_at(body, 2)
    end = at + size
    if end > len(body):
        raise ValueError("properties that are cut off")
    while at < end:
        name, at = body[at], at + 1
        if (size := _NUMBERS.get(name, 0)) and at + size <= end:
            limits[name], at = int.from_bytes(body[at : at + size], "big"), at + size
        elif name == _USER or name in _TEXTS:
            for _ in range(1 + (name == _USER)):
                _, at = _bytes_at(body, at)
        else:
            raise ValueError(f"a property {name:#x} that does not belong here")
    return Greeting(reason, limits[_RECEIVE_MAXIMUM] or 1, limits.get(_LARGEST_PACKET))


def read_publish(first: int, body: bytes) -> Published:
    """Read a PUBLISH of at most QoS 1; nothing subscribes for more."""
    if first & _QOS not in {0, _QOS_1}:
        raise ValueError("a message at a quality of service nobody asked for")
    (size,) = struct.unpack_from(">H", body)
    topic, at = body[2 : 2 + size], 2 + size
    mid = 0
    if first & _QOS:
        (mid,) = struct.unpack_from(">H", body, at)
        at += 2
        if mid == 0:
            raise ValueError("a message without an identifier")
    size, at = _length_at(body, at)
    end = at + size
    if at == 0 or end > len(body):
        raise ValueError("properties that are cut off")
    properties = _read(body[at:end]) if size else NONE
    return Published(topic, body[end:], properties, mid, retained=bool(first & _RETAIN))


def _written(properties: Properties) -> bytes:
    parts = []
    if properties.utf8:
        parts.append(bytes((_UTF8, 1)))
    if properties.expiry_s is not None:
        parts.append(struct.pack(">BI", _EXPIRY, properties.expiry_s))
    if properties.content_type:
        parts.append(bytes((_CONTENT_TYPE,)) + text(properties.content_type))
    if properties.response_topic:
        parts.append(bytes((_RESPONSE_TOPIC,)) + text(properties.response_topic))
    if properties.correlation:
        parts.append(struct.pack(">BH", _CORRELATION, len(properties.correlation)) + properties.correlation)
    parts += [bytes((_USER,)) + text(key) + text(value) for key, value in properties.user]
    every = b"".join(parts)
    return length(len(every)) + every


def _read(stream: bytes) -> Properties:
    found: dict[int, bytes] = {}
    user: list[tuple[str, str]] = []
    at = 0
    while at < len(stream):
        name, at = stream[at], at + 1
        if name == _USER:
            key, at = _bytes_at(stream, at)
            value, at = _bytes_at(stream, at)
            user.append((key.decode(), value.decode()))
        elif name in {_CONTENT_TYPE, _RESPONSE_TOPIC, _CORRELATION}:
            found[name], at = _bytes_at(stream, at)
        elif name == _SUBSCRIPTION:
            _, at = _length_at(stream, at)
            if at == 0:
                raise ValueError("a number that is cut off")
        elif (size := {_UTF8: 1, _EXPIRY: 4}.get(name)) and at + size <= len(stream):
            found[name], at = stream[at : at + size], at + size
        else:
            # A topic alias, too: we never allowed one.
            raise ValueError(f"a property {name:#x} that does not belong here")
    return Properties(
        response_topic=found.get(_RESPONSE_TOPIC, b"").decode(),
        correlation=found.get(_CORRELATION, b""),
        content_type=found.get(_CONTENT_TYPE, b"").decode(),
        utf8=found.get(_UTF8) == b"\x01",
        expiry_s=int.from_bytes(found[_EXPIRY], "big") if _EXPIRY in found else None,
        user=tuple(user),
    )


def _bytes_at(stream: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from(">H", stream, at)
    end = at + 2 + size
    if end > len(stream):
        raise ValueError("a text that is cut off")
    return stream[at + 2 : end], end
