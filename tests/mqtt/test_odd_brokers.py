"""Servers that are no broker, or one with its own ideas: scripted, since mosquitto behaves."""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, TlsFiles
from agentorchestr.mqtt.packets import Splitter, puback_packet, read_publish
from tests.mqtt.conftest import soon
from tests.mqtt.secured import NEEDS_OPENSSL, make_certificates
from tests.swarm.transport_contract import next_of

pytestmark = pytest.mark.anyio
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WELCOME = b"\x20\x03\x00\x00\x00"
LETTER = b"\x30\x06\x00\x01t\x00hi"
"""A PUBLISH at QoS 0 on the topic ``t``."""


@asynccontextmanager
async def server(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    serving = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        serving.close()
        await serving.wait_closed()


def line(port: int, *, tls: TlsFiles | None = None) -> MqttConnection:
    endpoint = Endpoint(host="localhost" if tls else "127.0.0.1", port=port, tls=tls)
    return MqttConnection(endpoint, client_id="a/b/c", login=None, will=None)


async def packet(reader: asyncio.StreamReader) -> bytes:
    """One packet of fewer than 128 bytes."""
    head = await reader.readexactly(2)
    return head + await reader.readexactly(head[1])


async def test_no_more_is_sent_at_once_than_the_broker_asked_for() -> None:
    sent: list[list[bytes]] = []
    most = 0

    async def takes_three(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        await packet(reader)
        writer.write(b"\x20\x06\x00\x00\x03\x21\x00\x03")
        while sum(map(len, sent)) < 10:
            held = []
            with contextlib.suppress(TimeoutError):
                while True:
                    held.append(await asyncio.wait_for(packet(reader), 0.1))
            most = max(most, len(held))
            sent.append(held)
            for one in held:
                writer.write(b"\x40\x02" + one[5:7])
        await reader.read()
        writer.close()

    async with server(takes_three) as port, line(port) as me, asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(me.publish("t", b"x"))
    assert most == 3


@NEEDS_OPENSSL
async def test_letters_in_one_tls_record_all_arrive(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)

    async def sends_five(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME + LETTER * 200)
        await reader.read()
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    trusted = TlsFiles(ca=certificates / "ours.pem")
    async with server(sends_five, tls=context) as port, line(port, tls=trusted) as me:
        for _ in range(200):
            assert (await next_of(me, within_s=3)).payload == b"hi"


async def test_cancelling_an_entry_that_gets_no_answer_leaves_nothing_open(tmp_path: Path) -> None:
    connections = []

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(reader)
        while await reader.read(100):
            pass
        connections.clear()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    entering = MqttConnection(Endpoint(host="127.0.0.1", port=port), client_id="a/b/c", login=None, will=None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), entering:
            pass
    await soon(lambda: not connections)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff\xff", b"\xf0\x00", b"\x20\x02\x00"]
)
async def test_a_server_that_speaks_no_mqtt_is_no_broker(answer: bytes) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with server(answers) as port, asyncio.timeout(5), line(port) as me:
        assert not me.connected


async def test_no_bytes_of_a_broker_break_more_than_their_connection() -> None:
    chance = random.Random(7)  # noqa: S311 - the same bytes each time
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))

    async def garbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        length = chance.randrange(30)
        kind = chance.choice([0x20, 0x30, 0x32, 0x40, 0x50, 0x90, 0xB0, 0xD0, 0xE0, 0xF0])
        body = bytes(chance.choice([chance.randrange(256), 0, 1, 31, 38]) for _ in range(length))
        writer.write(WELCOME + bytes((kind, length)) + body)
        await reader.read()
        writer.close()

    async with server(garbles) as port:
        for _ in range(200):
            async with line(port) as me:
                await asyncio.sleep(0.002)
                assert isinstance(me.connected, bool)
    assert not faults


async def test_packets_stay_whole_for_a_broker_that_reads_slowly() -> None:
    kinds: list[int] = []

    async def reads_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await packet(reader)
        writer.write(WELCOME)
        splitter = Splitter()
        while came := await reader.read(3000):
            for one in splitter.packets(came):
                kinds.append(one.first & 0xF0)
                if kinds[-1] == 0x30:
                    published = read_publish(one.first, one.body)
                    assert set(published.payload) == {ord("x")}
                    writer.write(puback_packet(published.mid))
                elif kinds[-1] == 0x80:
                    writer.write(b"\x90\x04" + one.body[:2] + b"\x00\x01")
            await asyncio.sleep(0)
        writer.close()

    async with server(reads_slowly) as port, line(port) as me, asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(me.publish("t", b"x" * 100_000))
            if number % 10 == 5:
                await asyncio.sleep(0.005)
                group.create_task(me.subscribe([f"t/{number}"]))
    await soon(lambda: kinds[-1] == 0xE0)
    assert (kinds.count(0x30), kinds.count(0x80), kinds.count(0xE0)) == (40, 4, 1)
