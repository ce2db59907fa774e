"""Post a few messages and go, by hand: a command that only sends must not wait for a library."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Delivered, Properties, packet_bytes, sayable
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.knock import length, text
from agentorchestr.mqtt.packets import (
    LARGEST_BYTES,
    PUBACK,
    Greeting,
    Packet,
    Splitter,
    publish_packet,
    read_connack,
    read_puback,
)

_CONNACK, _DISCONNECT, _KIND = 0x20, 0xE0, 0xF0
_FAILED, _NO_SUBSCRIBERS = 0x80, 0x10
_READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Parcel:
    """One message. *expiry_s* None: the broker may keep it for ever."""

    topic: str
    payload: bytes
    expiry_s: int | None = None


def post(
    endpoint: Endpoint, login: Login, parcels: Sequence[Parcel], *, session_expiry_s: int, timeout_s: float
) -> list[Delivered]:
    """Publish *parcels* at QoS 1 under the name *login* has, and give the broker's answers in order.

    A session kept for that name is taken up and left as it is: what waits in it still waits. Not over TLS.

    Raises ``CarrierGone`` when nobody answers in time, ``CarrierRefused`` when the broker says no.
    Source: MQTT 5.0, sections 3.1 to 3.4.
    """
    said: dict[int, Delivered] = {}
    with opened(endpoint, timeout_s) as line:
        try:
            line.sendall(connect_packet(login, session_expiry_s=session_expiry_s, receive_maximum=1))
            came = packets_until(time.monotonic() + timeout_s, line, endpoint)
            greeting = _greeting(came, login, endpoint)
            waiting = _fitting(parcels, greeting, said)
            line.sendall(b"".join(next(waiting, b"") for _ in range(greeting.receive_maximum)))
            while len(said) < len(parcels):
                number, reason = read_puback(_next(came, PUBACK, endpoint))
                if 0 < number <= len(parcels):
                    said[number] = _meaning(reason)
                line.sendall(next(waiting, b""))
            line.sendall(b"\xe0\x00")
        except OSError as exc:
            raise CarrierGone(f"{endpoint} did not answer: {exc}") from exc
        except (ValueError, IndexError, KeyError, struct.error) as exc:
            raise CarrierGone(f"{endpoint} speaks no MQTT: {exc}") from exc
    return [said[number] for number in range(1, len(parcels) + 1)]


def opened(endpoint: Endpoint, timeout_s: float) -> socket.socket:
    """A socket to *endpoint*, without TLS. Raises ``CarrierGone``."""
    try:
        if endpoint.unix is None:
            line = socket.create_connection((endpoint.host, endpoint.port), timeout=timeout_s)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return line
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(timeout_s)
        with contextlib.ExitStack() as undo:
            undo.callback(line.close)
            line.connect(str(endpoint.unix))
            undo.pop_all()
    except OSError as exc:
        raise CarrierGone(f"no broker answers at {endpoint}: {exc}") from exc
    return line


def connect_packet(
    login: Login, *, session_expiry_s: int, client_id: str = "", receive_maximum: int = 1000
) -> bytes:
    """A CONNECT. With *session_expiry_s* 0 no session is kept, and none is taken up."""
    clean_start, user_and_password = 0x02, 0xC0
    # With a receive maximum of 1 what waits for us is not sent to be thrown away.
    properties = struct.pack(">BIBHBI", 0x11, session_expiry_s, 0x21, receive_maximum, 0x27, LARGEST_BYTES)
    flags = user_and_password | (clean_start if session_expiry_s == 0 else 0)
    body = text("MQTT") + bytes((5, flags)) + struct.pack(">H", 30)
    body += length(len(properties)) + properties
    body += b"".join(text(word) for word in (client_id or login.user, login.user, login.password))
    return b"\x10" + length(len(body)) + body


def packets_until(deadline: float, line: socket.socket, endpoint: Endpoint) -> Iterator[Packet]:
    """What comes in until *deadline*; then, and when the broker closes, ``CarrierGone``."""
    splitter = Splitter()
    while (left_s := deadline - time.monotonic()) > 0:
        line.settimeout(left_s)
        came = line.recv(_READ_BYTES)
        if not came:
            raise CarrierGone(f"{endpoint} closed the connection")
        yield from splitter.packets(came)
    raise CarrierGone(f"{endpoint} did not tell all in time", hint="try again")


def _next(came: Iterator[Packet], kind: int, endpoint: Endpoint) -> bytes:
    """The body of the next packet of *kind*; others are left out, and not acknowledged."""
    for packet in came:
        if packet.first & _KIND == kind:
            return packet.body
        if packet.first & _KIND == _DISCONNECT:
            reason = packet.body[0] if packet.body else 0
            raise CarrierRefused(f"{endpoint} hung up (reason {reason:#x})")
    raise CarrierGone(f"{endpoint} did not answer")


def _greeting(came: Iterator[Packet], login: Login, endpoint: Endpoint) -> Greeting:
    greeting = read_connack(_next(came, _CONNACK, endpoint))
    if greeting.reason >= _FAILED:
        raise CarrierRefused(f"{endpoint} refused the login of {login.user} (reason {greeting.reason:#x})")
    return greeting


def _fitting(parcels: Sequence[Parcel], greeting: Greeting, said: dict[int, Delivered]) -> Iterator[bytes]:
    """The packets of *parcels*. What the broker would hang up on is noted as refused instead."""
    limit = greeting.packet_bytes or LARGEST_BYTES
    for number, parcel in enumerate(parcels, 1):
        properties = Properties(expiry_s=parcel.expiry_s)
        fits = packet_bytes(parcel.topic, parcel.payload, properties) <= limit
        if fits and sayable(parcel.topic, properties):
            yield publish_packet(number, parcel.topic, parcel.payload, properties, retain=False)
        else:
            said[number] = Delivered.REFUSED


def _meaning(reason: int) -> Delivered:
    if reason == _NO_SUBSCRIBERS:
        return Delivered.NOBODY_THERE
    return Delivered.REFUSED if reason >= _FAILED else Delivered.ACCEPTED
