"""The packets that are written and read by hand, against paho's own reading and against any cut of the stream."""

import struct

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from agentorchestr.model.carrier import Properties
from agentorchestr.mqtt.packets import (
    Greeting,
    Splitter,
    puback_packet,
    publish_packet,
    read_connack,
    read_puback,
    read_publish,
)

EVERY = Properties(
    response_topic="reply/to",
    correlation=b"\x00\xff\x80",
    content_type="text/plain",
    utf8=True,
    expiry_s=77,
    user=(("a", "1"), ("a", "2"), ("ü", "")),
)
SOME = [
    publish_packet(7, "t", b"", Properties(), retain=False),
    publish_packet(65535, "a/b/ü", b"x" * 300, EVERY, retain=True),
    puback_packet(258),
    publish_packet(1, "long", b"y" * 70_000, Properties(), retain=False),
]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100, 100_000])
def test_a_stream_is_cut_into_its_packets_however_it_comes(step: int) -> None:
    stream, splitter = b"".join(SOME), Splitter()
    found = [
        packet.whole
        for start in range(0, len(stream), step)
        for packet in splitter.packets(stream[start : start + step])
    ]
    assert found == SOME


def test_what_was_written_is_read_again() -> None:
    [plain, full, answer, _] = Splitter().packets(b"".join(SOME))
    read = read_publish(full.first, full.body)
    assert (read.topic.decode(), read.payload, read.mid, read.retained) == ("a/b/ü", b"x" * 300, 65535, True)
    assert read.properties == EVERY
    assert read_publish(plain.first, plain.body).properties == Properties()
    assert read_puback(answer.body) == (258, 0)
    assert read_puback(b"\x00\x05\x10\x00") == (5, 0x10)


def test_paho_reads_our_properties_and_we_read_its() -> None:
    (_, full, *_) = Splitter().packets(b"".join(SOME))
    theirs = PahoProperties(PacketTypes.PUBLISH)
    theirs.unpack(full.body[2 + len("a/b/ü".encode()) + 2 :])
    assert (theirs.ResponseTopic, theirs.CorrelationData) == ("reply/to", b"\x00\xff\x80")
    assert (theirs.ContentType, theirs.MessageExpiryInterval) == ("text/plain", 77)
    assert (theirs.PayloadFormatIndicator, theirs.UserProperty) == (1, list(EVERY.user))
    theirs.SubscriptionIdentifier = 300
    body = struct.pack(">H1sH", 1, b"t", 9) + theirs.pack() + b"hi"
    read = read_publish(0x32, body)
    assert (read.properties, read.payload) == (EVERY, b"hi")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\x01t\x00\x00\x00",  # no identifier
        b"\x00\x01t\x00\x01",  # no properties
        b"\x00\x01t\x00\x01\x05\x01",  # cut off
        b"\x00\x01t\x00\x01\x03\x23\x00\x01",  # a topic alias
        b"\x00\x01t\x00\x01\x04\x03\x00\x09a",  # a text longer than the properties
        b"\x00\x01t\x00\x01\x02\x0b\x80",  # a number without end
    ],
)
def test_what_is_no_message_is_not_read(body: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error)):
        read_publish(0x32, body)


def test_more_than_was_asked_for_is_not_taken() -> None:
    with pytest.raises(ValueError, match="quality"):
        read_publish(0x34, b"\x00\x01t\x00\x01\x00")


def test_a_length_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="four bytes"):
        list(Splitter().packets(b"\x30\xff\xff\xff\xff\xff"))


def test_a_packet_larger_than_we_take_is_refused_before_it_came() -> None:
    with pytest.raises(ValueError, match="16,777,217 bytes"):
        list(Splitter().packets(b"\x30\x81\x80\x80\x08"))


def test_a_large_packet_in_small_pieces_costs_no_more_than_its_size() -> None:
    whole = publish_packet(1, "t", b"z" * 8_000_000, Properties(), retain=False)
    splitter = Splitter()
    found = [
        packet.whole
        for start in range(0, len(whole), 1000)
        for packet in splitter.packets(whole[start : start + 1000])
    ]
    assert found == [whole]


def test_a_greeting_tells_the_limits_of_the_broker() -> None:
    properties = b"\x11\x00\x00\x00\x01\x21\x00\x14\x24\x01\x27\x00\x10\x00\x00\x12\x00\x02me\x26\x00\x01a\x00\x01b\x2a\x01"
    body = b"\x00\x00" + bytes((len(properties),)) + properties
    assert read_connack(body) == Greeting(0, 20, 1024 * 1024)
    assert read_connack(b"\x00\x87\x00") == Greeting(0x87)
    with pytest.raises(ValueError, match="0x99"):
        read_connack(b"\x00\x00\x02\x99\x00")
