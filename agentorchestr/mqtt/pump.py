"""Move bytes between paho and its socket on the event loop; no thread and no polling."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt import properties as paho_properties

from agentorchestr.errors import CarrierGone

READS_AT_ONCE = 64
"""Packets taken from one socket before others have their turn."""
GARBLED = (ValueError, IndexError, KeyError, struct.error, paho_properties.MQTTException)  # type: ignore[attr-defined]  # not exported
"""What paho 2.1 raises on bytes that are no MQTT; 2.2 tells of them as of a lost connection."""


class Pump:
    """Serves one dialled client of paho from ``attach`` to ``stop``. *on_garbled* is told why to give up."""

    def __init__(self, client: paho.Client, *, on_garbled: Callable[[str], None]) -> None:
        self._client = client
        self._on_garbled = on_garbled
        self._loop = asyncio.get_running_loop()
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
        self._attached = True
        self._loop.add_reader(sock, self._readable)
        self._flush()

    def stop(self) -> None:
        """Close the socket without a word; a second call does nothing."""
        sock = self._client.socket()
        if sock is not None and sock.fileno() >= 0:
            self._closes(self._client, None, sock)
            sock.close()
        self._attached = False

    def _readable(self) -> None:
        for _ in range(READS_AT_ONCE):
            if not self._attached:
                return
            try:
                self._client.loop_read()
            except GARBLED as exc:
                self._on_garbled(f"the broker sent what is no MQTT: {exc}")
            sock = self._client.socket()
            # TLS may hold decrypted packets that no selector can see.
            if not isinstance(sock, ssl.SSLSocket) or not self._attached or not sock.pending():
                return
        self._loop.call_soon(self._readable)

    def _flush(self) -> None:
        """Write what waits, and go on when the socket takes more."""
        self._flush_due = False
        if not self._attached:
            return
        self._client.loop_write()
        sock = self._client.socket()
        if sock is None or self._writing == self._client.want_write():
            return
        self._writing = not self._writing
        if self._writing:
            self._loop.add_writer(sock, self._flush)
        else:
            self._loop.remove_writer(sock)

    def _wants_to_write(self, _client: paho.Client, _userdata: Any, _sock: Any) -> None:
        # While dialling this runs in the dialling thread; attaching flushes.
        if self._attached and not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _closes(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        if self._attached:
            self._attached = False
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
