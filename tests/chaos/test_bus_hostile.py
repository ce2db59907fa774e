"""An agent with a login of its own does everything wrong it can, on a real broker, while others write letters."""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections import Counter
from pathlib import Path

import pytest

from agentorchestr.a2a.responder import Responder
from agentorchestr.errors import CarrierRefused
from agentorchestr.model.carrier import A2A_ROOT, LETTERS_ROOT, Delivered, Properties
from agentorchestr.model.mail import Address, LetterState
from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker, stop_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Login
from agentorchestr.mqtt.knock import length, text
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from tests.a2a.agents import Echo
from tests.mqtt.conftest import BrokerWorld
from tests.swarm.conftest import PATIENT, Post, first, note
from tests.swarm.transport_contract import ANN, BEN, stays_silent

pytestmark = pytest.mark.anyio
MALLORY = Address("agentorchestr", "local", "mallory")
LETTERS = 400
TOO_LARGE = 2 * 1024 * 1024
TOO_LARGE_SAID = 0x95
TO_BEN = f"{LETTERS_ROOT}/in/{BEN}/{MALLORY}"
JUNK = (
    b"",
    b"[]",
    b"{",
    b"\xff\xfe\x00",
    b"x" * 900_000,
    json.dumps({"id": "x", "from": str(ANN), "to": str(BEN), "body": "I am ann"}).encode(),
    json.dumps({"id": "x" * 500, "from": str(MALLORY), "to": str(BEN), "body": ""}).encode(),
)


@pytest.fixture
def broker(private_paths: Paths) -> object:
    yield ensure_broker(private_paths)
    stop_broker(private_paths)


def connect_packet(login: Login) -> bytes:
    body = text("MQTT") + bytes((5, 0xC2)) + struct.pack(">H", 30) + b"\x00"
    body += b"".join(text(word) for word in ("", login.user, login.password))
    return b"\x10" + length(len(body)) + body


def raw(broker: BrokerHandle, *pieces: bytes) -> bytes:
    """What the broker says to bytes that no client of ours would send, until it hangs up."""
    said = b""
    with socket.create_connection((broker.endpoint_tcp.host, broker.endpoint_tcp.port), timeout=20) as line:
        # It may hang up before it has heard everything.
        with contextlib.suppress(OSError):
            for piece in pieces:
                line.sendall(piece)
            line.shutdown(socket.SHUT_WR)  # what looks like the begin of a packet is not waited for
        with contextlib.suppress(ConnectionError):
            while piece := line.recv(4096):
                said += piece
    return said


def misbehave(broker: BrokerHandle, login: Login) -> None:
    """Send what is no MQTT, no UTF-8, or too large; each is answered by the end of this connection alone."""
    hello = connect_packet(login)
    head = text(TO_BEN) + b"\x00\x01\x00"
    large = raw(broker, hello, b"\x32" + length(len(head) + TOO_LARGE) + head)
    assert large[-1] == TOO_LARGE_SAID, large[-8:]
    topic = struct.pack(">H", 3) + b"a\xff\xfe" + b"\x00\x01\x00"
    for wrong in (
        b"\x32" + length(len(topic)) + topic,
        b"\xf0\x00",
        b"\x32\xff\xff\xff\xff\x7f",
        os.urandom(512),
    ):
        raw(broker, hello, wrong)
    assert raw(broker, b"GET / HTTP/1.1\r\n\r\n") == b""


async def forge(mallory: MqttConnection) -> None:
    """Write and listen where only others may."""
    assert await mallory.publish(f"{LETTERS_ROOT}/in/{BEN}/{ANN}", b"{}") is Delivered.REFUSED
    assert await mallory.publish(f"{LETTERS_ROOT}/all/{ANN}", b"{}") is Delivered.REFUSED
    assert await mallory.publish(f"{A2A_ROOT}/discovery/{BEN}", b"", retain=True) is Delivered.REFUSED
    assert await mallory.publish(f"{A2A_ROOT}/event/{BEN}", b"{}") is Delivered.REFUSED
    with contextlib.suppress(CarrierRefused):
        await mallory.subscribe([f"{LETTERS_ROOT}/in/{BEN}/#", f"{A2A_ROOT}/request/{BEN}/#"])
    await stays_silent(mallory)


async def ask_nonsense(mallory: MqttConnection, responder: Address) -> None:
    """An unknown method, with correlation data that is no text: answered as such, byte for byte."""
    replies, correlation = f"{A2A_ROOT}/reply/{MALLORY}/x", os.urandom(64) + b"\x00\xff"
    await mallory.subscribe([replies])
    payload = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "Explode", "params": {}}).encode()
    properties = Properties(response_topic=replies, correlation=correlation)
    await mallory.publish(f"{A2A_ROOT}/request/{responder}", payload, properties=properties)
    async with asyncio.timeout(20):
        async for answer in mallory.messages():
            answer.acknowledge()
            assert answer.properties.correlation == correlation
            assert json.loads(answer.payload)["error"]["code"] == -32601
            return


async def test_whatever_one_agent_does_the_letters_of_others_arrive_once(
    broker: BrokerHandle, private_paths: Paths, tmp_path: Path
) -> None:
    world = BrokerWorld(private_paths, broker.endpoint_tcp)
    post = Post(world, tmp_path)
    cat = Address("agentorchestr", "local", "cat")
    with pytest.raises(CarrierRefused):
        async with MqttConnection(broker.endpoint_tcp, client_id="x", login=None, will=None):
            pass
    # No letter is sent a second time: what was lost would be missing.
    async with (
        post.agent(BEN, timing=PATIENT) as ben,
        post.agent(ANN, timing=PATIENT) as ann,
        world.transport(cat) as line,
        Responder(line, cat, Echo()),
    ):
        writing = asyncio.ensure_future(send_all(ann))
        reading = asyncio.ensure_future(first(ben.inbox(), LETTERS + 1, within_s=60))
        await asyncio.to_thread(misbehave, broker, add_login(private_paths, MALLORY))
        async with world.transport(MALLORY) as mallory:
            for payload in JUNK:
                assert await mallory.publish(TO_BEN, payload) is Delivered.ACCEPTED
            await forge(mallory)
            await ask_nonsense(mallory, cat)
        sent = await writing
        await ann.send(note(BEN, "the last"))
        read = await reading
        assert Counter(letter.body for letter in read) == Counter([*map(str, range(LETTERS)), "the last"])
        assert {letter.sender for letter in read} == {ANN}
        standing = await ann.wait_for(sent, LetterState.RECEIVED, timeout_s=20)
        assert standing is not None
        assert standing.state is LetterState.RECEIVED
        assert standing.tries <= 1


async def send_all(ann: object) -> str:
    """A letter now and then; the id of the last."""
    for number in range(LETTERS):
        sent = await ann.send(note(BEN, str(number)))  # type: ignore[attr-defined]
        await asyncio.sleep(0.005)
    return sent.letter_id
