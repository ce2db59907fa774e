"""Move bytes between one connection and its socket on the event loop; no thread and no polling.

Messages and their answers go through here; every other packet is paho's.
"""

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from typing import Any

from paho.mqtt import properties as paho_properties

from agentorchestr.errors import CarrierGone
from agentorchestr.mqtt.hello import Client
from agentorchestr.mqtt.packets import PUBACK, PUBLISH, Packet, Published, Splitter, read_puback, read_publish

KIND = 0xF0
READ_BYTES = SEND_BYTES = 64 * 1024
UNANSWERED_MS = 20_000
"""What is not acknowledged on the wire for so long tells of a cut that nobody else told of."""
GARBLED = (ValueError, IndexError, KeyError, struct.error, paho_properties.MQTTException)  # type: ignore[attr-defined]  # not exported
"""What bytes that are no MQTT raise here and in paho 2.1; 2.2 tells of them as of a lost connection."""


class Pump:
    """Serves one dialled client of paho from ``attach`` to ``stop``.

    *on_message* is told of a PUBLISH, *on_answer* of a PUBACK: its packet identifier and reason code;
    *on_broken* why to give up.
    """

    def __init__(
        self,
        client: Client,
        *,
        on_message: Callable[[Published], None],
        on_answer: Callable[[int, int], None],
        on_broken: Callable[[str], None],
    ) -> None:
        self._client = client
        self._on_message = on_message
        self._on_answer = on_answer
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._splitter = Splitter()
        self._out = bytearray()
        self._is_half_theirs = False
        """The last packet on the wire is one of paho's, and not complete."""
        self._attached = self._writing = self._flush_due = False
        client.on_socket_register_write = self._wants_to_write
        client.on_socket_close = self._closes

    def attach(self) -> None:
        """Begin, and send what dialling queued. Raises ``CarrierGone`` when the socket is gone already."""
        sock = self._client.socket()
        if not isinstance(sock, socket.socket):
            raise CarrierGone("the connection broke while it was made")
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            # Without it a QoS 1 round trip waits for delayed ACKs, forty times its own length.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if sys.platform == "linux":
                # Otherwise the kernel tries again less and less often, and after a short cut of the cable
                # nothing moves for as long again.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
        self._attached = True
        self._loop.add_reader(sock, self._readable, sock)
        self._flush()

    def stop(self) -> None:
        """Close the socket without a word; a second call does nothing."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket) and sock.fileno() >= 0:
            self._closes(self._client, None, sock)
            sock.close()
        self._attached = False

    def send(self, packet: bytes) -> None:
        """Send a whole packet soon, together with what else comes during this turn of the loop."""
        self._out += packet
        self._flush_soon()

    def _readable(self, sock: socket.socket) -> None:
        try:
            came = sock.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as exc:
            self._on_broken(str(exc))
            return
        if not came:
            self._on_broken("the broker closed it")
            return
        try:
            for packet in self._splitter.packets(came):
                self._take(packet)
                if not self._attached:
                    return
        except GARBLED as exc:
            self._on_broken(f"the broker sent what is no MQTT: {exc}")
        # TLS may hold decrypted packets that no selector can see.
        if isinstance(sock, ssl.SSLSocket) and self._attached and sock.pending():
            self._loop.call_soon(self._read_again, sock)

    def _read_again(self, sock: socket.socket) -> None:
        if self._attached:
            self._readable(sock)

    def _take(self, packet: Packet) -> None:
        if packet.first & KIND == PUBLISH:
            self._on_message(read_publish(packet.first, packet.body))
        elif packet.first == PUBACK:
            self._on_answer(*read_puback(packet.body))
        else:
            self._client.fed += packet.whole
            while self._client.fed and self._attached:
                self._client.loop_read()

    def _flush(self) -> None:
        """Write what waits, and go on when the socket takes more."""
        self._flush_due = False
        if not self._attached:
            return
        # Ours first, so that paho's goodbye is the last; but never inside a packet of paho's.
        if not self._is_half_theirs:
            self._send_ours()
        if self._attached and (not self._out or self._is_half_theirs):
            self._client.loop_write()
            self._is_half_theirs = self._client.want_write()
        sock = self._client.socket()
        if not self._attached or sock is None:
            return
        wanted = bool(self._out) or self._is_half_theirs
        if self._writing != wanted:
            self._writing = wanted
            if wanted:
                self._loop.add_writer(sock, self._flush)
            else:
                self._loop.remove_writer(sock)

    def _send_ours(self) -> None:
        sock = self._client.socket()
        while self._out and isinstance(sock, socket.socket):
            try:
                sent = sock.send(self._out[:SEND_BYTES])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as exc:
                self._on_broken(str(exc))
                return
            del self._out[:sent]

    def _flush_soon(self) -> None:
        if self._attached and not self._flush_due and not self._writing:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _wants_to_write(self, _client: Any, _userdata: Any, _sock: Any) -> None:
        # While dialling this runs in the dialling thread; attaching flushes.
        self._flush_soon()

    def _closes(self, _client: Any, _userdata: Any, sock: Any) -> None:
        if self._attached:
            self._attached = False
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
