"""Knock at a broker's door: the first packet of MQTT by hand, as a command must not wait for a library."""

import socket
import struct
from pathlib import Path

from agentorchestr.mqtt.endpoint import Login

CONNACK = 0x20
WELCOME = 0x00


def knock(unix: Path, login: Login | None, *, timeout_s: float) -> int | None:
    """The reason code of the broker's answer to *login* on the socket *unix*; None when nothing answers.

    Keeps no session and leaves none behind. Source: MQTT 5.0, sections 3.1 and 3.2.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(timeout_s)
        try:
            door.connect(str(unix))
            door.sendall(_connect(login))
            answer = _read(door, 4)
            if len(answer) == 4 and answer[0] == CONNACK:  # noqa: PLR2004 - type, length, flags, reason
                if answer[3] == WELCOME:
                    door.sendall(b"\xe0\x00")  # DISCONNECT
                return answer[3]
        except OSError:
            return None
    return None


def _read(door: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (piece := door.recv(count - len(found))):
        found += piece
    return found


def _connect(login: Login | None) -> bytes:
    clean_start, has_user, has_password = 0x02, 0x80, 0x40
    flags = clean_start | (has_user | has_password if login else 0)
    body = text("MQTT") + bytes((5, flags)) + struct.pack(">H", 10) + b"\x00"
    words = ("", login.user, login.password) if login else ("",)
    body += b"".join(text(word) for word in words)
    return b"\x10" + length(len(body)) + body


def text(word: str) -> bytes:
    """A UTF-8 string with its length before it."""
    encoded = word.encode()
    return struct.pack(">H", len(encoded)) + encoded


def length(count: int) -> bytes:
    """A variable byte integer."""
    found = bytearray()
    while True:
        count, low = divmod(count, 128)
        found.append(low | (0x80 if count else 0))
        if not count:
            return bytes(found)
