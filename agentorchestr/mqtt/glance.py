"""Read what stands retained at a broker and go, by hand: who only looks must not wait for a library."""

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Properties
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.knock import length, text
from agentorchestr.mqtt.packets import PUBLISH, puback_packet, publish_packet, read_publish
from agentorchestr.mqtt.post import connect_packet, opened, packets_until

_CONNACK, _SUBSCRIBE, _SUBACK, _DISCONNECT = 0x20, 0x82, 0x90, 0xE0
_KIND, _FAILED = 0xF0, 0x80
NONE = Properties()


@dataclass(frozen=True)
class Seen:
    """A message that was read: a ``Message``."""

    topic: str
    payload: bytes
    properties: Properties
    retained: bool


def glance(
    endpoint: Endpoint, login: Login, topic_filter: str, *, client_id: str, end: str, timeout_s: float
) -> list[Seen]:
    """Everything that stands at *topic_filter*, in the order it came. Not over TLS.

    *end* is a topic we may write and read: a message to ourselves there comes behind what was retained
    before it, so that no waiting for more is needed. Keeps no session.

    Raises ``CarrierGone`` when nobody answers in time, ``CarrierRefused`` when the broker says no.
    Source: MQTT 5.0, sections 3.1 to 3.4, 3.8 and 3.9.
    """
    with opened(endpoint, timeout_s) as line:
        try:
            line.sendall(connect_packet(login, client_id=client_id, session_expiry_s=0))
            return _look(line, endpoint, (topic_filter, end), deadline=time.monotonic() + timeout_s)
        except OSError as exc:
            raise CarrierGone(f"{endpoint} did not answer: {exc}") from exc
        except (ValueError, IndexError, struct.error) as exc:
            raise CarrierGone(f"{endpoint} speaks no MQTT: {exc}") from exc


def _look(line: socket.socket, endpoint: Endpoint, filters: Sequence[str], *, deadline: float) -> list[Seen]:
    found: list[Seen] = []
    end = filters[-1]
    for packet in packets_until(deadline, line, endpoint):
        kind = packet.first & _KIND
        if kind == _CONNACK:
            _must_be_let_in(packet.body[1], endpoint)
            line.sendall(_subscribe(filters))
        elif kind == _SUBACK:
            _must_be_let_in(max(packet.body[-len(filters) :]), endpoint)
            line.sendall(publish_packet(1, end, b"{}", NONE, retain=False))
        elif kind == PUBLISH:
            came = read_publish(packet.first, packet.body)
            if came.topic == end.encode():
                line.sendall(b"\xe0\x00")
                break
            found.append(Seen(came.topic.decode(), came.payload, came.properties, came.retained))
            if came.mid:
                line.sendall(puback_packet(came.mid))
        elif kind == _DISCONNECT:
            _must_be_let_in(packet.body[0] if packet.body else _FAILED, endpoint)
    return found


def _must_be_let_in(reason: int, endpoint: Endpoint) -> None:
    if reason >= _FAILED:
        raise CarrierRefused(f"{endpoint} lets us see nothing (reason {reason:#x})")


def _subscribe(filters: Sequence[str]) -> bytes:
    body = struct.pack(">H", 1) + b"\x00" + b"".join(text(one) + b"\x01" for one in filters)
    return bytes((_SUBSCRIBE,)) + length(len(body)) + body
