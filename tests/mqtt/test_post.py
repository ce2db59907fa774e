"""Posting by hand: within the broker's limits, and never longer than it was given."""

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from agentorchestr.errors import BusError, CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Delivered
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.packets import Packet, Splitter, puback_packet, read_publish
from agentorchestr.mqtt.post import Parcel, post

ME = Login("a/b/ann", "x")
PLAIN = b"\x20\x03\x00\x00\x00"
TAKES_TWO = b"\x20\x06\x00\x00\x03\x21\x00\x02"
TAKES_1000_BYTES = b"\x20\x08\x00\x00\x05\x27\x00\x00\x03\xe8"
Serve = Callable[[socket.socket], None]


@contextmanager
def served(serve: Serve) -> Iterator[Endpoint]:
    """A server that treats its one client as *serve* does."""

    def run() -> None:
        guest, _ = door.accept()
        with guest, suppress(OSError):
            serve(guest)

    with socket.create_server(("127.0.0.1", 0)) as door:
        server = threading.Thread(target=run)
        server.start()
        yield Endpoint(host="127.0.0.1", port=door.getsockname()[1])
        server.join()


def packets(guest: socket.socket) -> Iterator[Packet]:
    splitter = Splitter()
    while came := guest.recv(65536):
        yield from splitter.packets(came)


def posted(serve: Serve, parcels: list[Parcel], *, timeout_s: float = 10.0) -> list[Delivered]:
    with served(serve) as endpoint:
        return post(endpoint, ME, parcels, session_expiry_s=60, timeout_s=timeout_s)


def takes(welcome: bytes, taken: list[int]) -> Serve:
    """A broker that answers each message; *taken* gets the size of each."""

    def serve(guest: socket.socket) -> None:
        for packet in packets(guest):
            if packet.first == 0x10:
                guest.sendall(welcome)
            elif packet.first & 0xF0 == 0x30:
                taken.append(len(packet.whole))
                guest.sendall(puback_packet(read_publish(packet.first, packet.body).mid))

    return serve


def test_no_more_is_under_way_than_the_broker_asked_for() -> None:
    most = 0

    def holds_back(guest: socket.socket) -> None:
        nonlocal most
        held: list[int] = []
        guest.settimeout(0.2)
        splitter = Splitter()
        while True:
            try:
                came = guest.recv(65536)
            except TimeoutError:
                most = max(most, len(held))
                guest.sendall(b"".join(map(puback_packet, held)))
                held = []
                continue
            if not came:
                return
            for packet in splitter.packets(came):
                if packet.first == 0x10:
                    guest.sendall(TAKES_TWO)
                elif packet.first & 0xF0 == 0x30:
                    held.append(read_publish(packet.first, packet.body).mid)

    said = posted(holds_back, [Parcel("t", b"x")] * 5)
    assert (said, most) == ([Delivered.ACCEPTED] * 5, 2)


def test_what_is_too_large_for_the_broker_is_refused_and_the_rest_goes_on() -> None:
    taken: list[int] = []
    parcels = [
        Parcel("t", b"x"),
        Parcel("t", b"y" * 2000),
        Parcel("t", b"z", expiry_s=2**40),
        Parcel("t", b""),
    ]
    said = posted(takes(TAKES_1000_BYTES, taken), parcels)
    assert said == [Delivered.ACCEPTED, Delivered.REFUSED, Delivered.REFUSED, Delivered.ACCEPTED]
    assert len(taken) == 2


@pytest.mark.parametrize(
    "noise",
    [b"\x30\x03\x00\x01t", b"\xd0\x00", b"\x30\xff"],
    ids=["messages", "pings", "a length without end"],
)
def test_a_broker_that_talks_without_end_is_left_in_time(noise: bytes) -> None:
    def talks(guest: socket.socket) -> None:
        guest.settimeout(5)
        guest.recv(65536)
        while True:
            guest.sendall(noise * 1000)

    began = time.monotonic()
    with pytest.raises(CarrierGone):
        posted(talks, [Parcel("t", b"x")], timeout_s=0.5)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "answer",
    [
        b"\x20\x00",
        b"\x20\x01\x00",
        b"\x20\x03\x00\x00\x09",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        PLAIN + b"\x40\x00",
        PLAIN + b"\x40\x02\x00\x09",
        PLAIN + b"\x40\x02\x00\x00",
    ],
)
def test_what_is_no_answer_is_one_clear_error(answer: bytes) -> None:
    def says(guest: socket.socket) -> None:
        guest.recv(65536)
        guest.sendall(answer)
        guest.shutdown(socket.SHUT_WR)
        while guest.recv(65536):
            pass

    with pytest.raises(CarrierGone):
        posted(says, [Parcel("t", b"x")], timeout_s=2)


def test_a_broker_that_says_no_is_quoted() -> None:
    def hangs_up(guest: socket.socket) -> None:
        guest.recv(65536)
        guest.sendall(PLAIN + b"\xe0\x01\x97")

    with pytest.raises(CarrierRefused, match="0x97"):
        posted(hangs_up, [Parcel("t", b"x")])


def test_random_answers_raise_nothing_else() -> None:
    dice = random.Random(7)  # noqa: S311 - the same bytes each time
    for _ in range(60):
        size = dice.randrange(0, 30)
        head = dice.choice([b"", PLAIN, struct.pack(">BB", dice.choice([0x20, 0x40, 0xE0, 0x30]), size)])
        answer = head + dice.randbytes(size)

        def says(guest: socket.socket, answer: bytes = answer) -> None:
            guest.recv(65536)
            guest.sendall(answer)

        with suppress(BusError):
            posted(says, [Parcel("t", b"x")], timeout_s=2)
