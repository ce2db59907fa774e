"""C1, C2 and C6: what stands in the packets of the real connection, read off the wire."""

import asyncio
from pathlib import Path

import pytest

from agentorchestr.a2a.card import CardPublisher
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint
from tests.a2a.raw import ANN, BEN
from tests.a2a.test_cards import CARD

pytestmark = pytest.mark.anyio
CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8
CONNACK = bytes((0x20, 3, 0, 0, 0))


class Door:
    """Accepts one client, grants everything and keeps what it says."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                first = (await reader.readexactly(1))[0]
                body = await reader.readexactly(await _length(reader))
                self.packets.append((first, body))
                writer.write(_answer(first >> 4, body))
        except asyncio.IncompleteReadError:
            writer.close()

    def of(self, kind: int) -> list[tuple[int, bytes]]:
        return [packet for packet in self.packets if packet[0] >> 4 == kind]


async def _length(reader: asyncio.StreamReader) -> int:
    length, shift, more = 0, 0, True
    while more:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift, more = shift + 7, bool(byte & 0x80)
    return length


def _answer(kind: int, body: bytes) -> bytes:
    if kind == CONNECT:
        return CONNACK
    if kind == SUBSCRIBE:
        return bytes((0x90, 4, *body[:2], 0, 1))
    if kind == PUBLISH:
        start = 2 + int.from_bytes(body[:2], "big")
        return bytes((0x40, 2, *body[start : start + 2]))
    return b""


async def test_C1_C2_C6_version_5_client_id_and_qos_1(short_dir: Path) -> None:
    door, place = Door(), short_dir / "door"
    server = await asyncio.start_unix_server(door.serve, place)
    line = MqttConnection(Endpoint(unix=place), client_id=str(ANN), login=None, will=None)
    async with (
        asyncio.timeout(10),
        server,
        line,
        Switchboard(line) as board,
        CardPublisher(board.branch(), ANN, CARD),
        Requester(board.branch(), ANN) as requester,
    ):
        asked = asyncio.ensure_future(requester.ask(BEN, new_message("x")))
        while not any(b"/request/" in body for _, body in door.of(PUBLISH)):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        asked.cancel()
    ((_, hello),) = door.of(CONNECT)
    assert hello[:7] == b"\x00\x04MQTT\x05"
    assert b"\x00\x0cacme/lab/ann" in hello
    for first, body in door.of(PUBLISH):
        assert (first >> 1) & 3 == 1
        assert bool(first & 1) is (b"/discovery/" in body)
    assert all(body[-1] & 3 == 1 for _, body in door.of(SUBSCRIBE))
