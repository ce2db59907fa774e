"""Looking at what stands retained, by hand: complete, and no longer than it was given."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentorchestr.errors import BusError, CarrierGone, CarrierRefused
from agentorchestr.model.carrier import A2A_ROOT
from agentorchestr.mqtt.broker import BrokerHandle
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.glance import Seen, glance
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from agentorchestr.swarm import topics
from tests.mqtt.conftest import BrokerWorld
from tests.swarm.transport_contract import ANN, BEN

EVENTS = f"{A2A_ROOT}/event/#"
WELCOME = b"\x20\x03\x00\x00\x00"


def look(endpoint: Endpoint, login: Login, *, timeout_s: float = 20.0) -> list[Seen]:
    end = topics.own_reply(ANN, "end")
    return glance(endpoint, login, EVENTS, client_id=login.user, end=end, timeout_s=timeout_s)


@pytest.mark.anyio
async def test_all_that_stands_is_seen_however_much_it_is(
    broker: BrokerHandle, world: BrokerWorld, private_paths: Paths
) -> None:
    many = 1500  # more than the broker has under way at once
    async with world.transport(BEN) as ben:
        for number in range(many):
            topic = f"{A2A_ROOT}/event/{BEN}/{number:04}"
            await ben.publish(topic, str(number).encode() * 100, retain=True)
    for endpoint in (broker.endpoint_unix, broker.endpoint_tcp):
        seen = look(endpoint, add_login(private_paths, ANN))
        assert sorted(int(one.topic[-4:]) for one in seen) == list(range(many))
        assert all(one.retained and one.payload == str(int(one.topic[-4:])).encode() * 100 for one in seen)


def test_a_wrong_password_is_told(broker: BrokerHandle) -> None:
    with pytest.raises(CarrierRefused, match="see nothing"):
        look(broker.endpoint_unix, Login(str(ANN), "wrong"))


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CarrierGone):
        look(Endpoint(unix=tmp_path / "none.sock"), Login(str(ANN), "x"))


@contextmanager
def says(answer: bytes, *, stays: bool) -> Iterator[Endpoint]:
    """A server that gives *answer* to the first bytes it gets."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        over = threading.Event()

        def serve() -> None:
            line, _ = door.accept()
            with line:
                line.recv(4096)
                line.sendall(answer)
                if stays:
                    over.wait(20)

        serving = threading.Thread(target=serve)
        serving.start()
        yield Endpoint(host="127.0.0.1", port=door.getsockname()[1])
        over.set()
        serving.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        WELCOME,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\xff\xff\xff\xff\xff",
        b"\x20\x00",
        WELCOME + b"\x30\x02\x00\x09",
        WELCOME + b"\xe0\x00",
        WELCOME + b"\x90\x05\x00\x01\x00\x87\x87",
    ],
)
@pytest.mark.parametrize("stays", [True, False])
def test_what_is_no_answer_is_an_error_within_the_time(answer: bytes, *, stays: bool) -> None:
    began = time.monotonic()
    with says(answer, stays=stays) as endpoint, pytest.raises(BusError):
        look(endpoint, Login(str(ANN), "x"), timeout_s=0.3)
    assert time.monotonic() - began < 15
