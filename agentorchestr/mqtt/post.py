"""Post a few messages and go, by hand: a command that only sends must not wait for a library."""

import contextlib
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Delivered
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.knock import length, text

_CONNACK, _PUBACK, _DISCONNECT = 0x20, 0x40, 0xE0
_FAILED, _NO_SUBSCRIBERS = 0x80, 0x10
_REPEATS_END = 0x80


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
    with opened(endpoint, timeout_s) as line:
        wire = _Wire(line, deadline=time.monotonic() + timeout_s)
        try:
            line.sendall(connect_packet(login, session_expiry_s=session_expiry_s, receive_maximum=1))
            reason = wire.until(_CONNACK)[1]
            if reason >= _FAILED:
                raise CarrierRefused(f"{endpoint} refused the login of {login.user} (reason {reason:#x})")
            line.sendall(b"".join(_publish(number, parcel) for number, parcel in enumerate(parcels, 1)))
            said = _answers(wire, len(parcels))
            line.sendall(b"\xe0\x00")
        except OSError as exc:
            raise CarrierGone(f"{endpoint} did not answer: {exc}") from exc
    return said


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
    properties = struct.pack(">BIBH", 0x11, session_expiry_s, 0x21, receive_maximum)
    flags = user_and_password | (clean_start if session_expiry_s == 0 else 0)
    body = text("MQTT") + bytes((5, flags)) + struct.pack(">H", 30)
    body += length(len(properties)) + properties
    body += b"".join(text(word) for word in (client_id or login.user, login.user, login.password))
    return b"\x10" + length(len(body)) + body


def _publish(number: int, parcel: Parcel) -> bytes:
    properties = b"" if parcel.expiry_s is None else struct.pack(">BI", 0x02, parcel.expiry_s)
    body = text(parcel.topic) + struct.pack(">H", number) + length(len(properties)) + properties
    return b"\x32" + length(len(body) + len(parcel.payload)) + body + parcel.payload


def _answers(wire: "_Wire", count: int) -> list[Delivered]:
    said: dict[int, Delivered] = {}
    while len(said) < count:
        body = wire.until(_PUBACK)
        reason = body[2] if len(body) > 2 else 0  # noqa: PLR2004 - after the two bytes of the number
        said[int.from_bytes(body[:2], "big")] = (
            Delivered.REFUSED
            if reason >= _FAILED
            else Delivered.NOBODY_THERE
            if reason == _NO_SUBSCRIBERS
            else Delivered.ACCEPTED
        )
    return [said[number] for number in range(1, count + 1)]


class _Wire:
    """Reads packets until a deadline."""

    def __init__(self, line: socket.socket, *, deadline: float) -> None:
        self._line = line
        self._deadline = deadline

    def until(self, kind: int) -> bytes:
        """The body of the next packet of *kind*; others are left out, and not acknowledged."""
        while True:
            first = self._read(1)[0]
            size, shift = 0, 0
            while True:
                low = self._read(1)[0]
                size |= (low & 0x7F) << shift
                shift += 7
                if low < _REPEATS_END:
                    break
            body = self._read(size)
            if first & 0xF0 == kind:
                return body
            if first & 0xF0 == _DISCONNECT:
                reason = body[0] if body else 0
                raise CarrierRefused(f"the broker hung up (reason {reason:#x})")

    def _read(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            self._line.settimeout(max(self._deadline - time.monotonic(), 0.001))
            piece = self._line.recv(count - len(found))
            if not piece:
                raise CarrierGone("the broker closed the connection")
            found += piece
        return bytes(found)
