"""What every transport must do, as plain functions: run against the real broker and the one in this process.

A test module gives each function a ``World`` that makes transports, and runs it. The addresses here are the
only ones a world must know (``WHO``); their rights are those of any agent: write under the own name, read
the own inbox, broadcasts, cards, and the own request and reply topics.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import pytest

from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import (
    A2A_ROOT,
    LETTERS_ROOT,
    Delivered,
    Incoming,
    Properties,
    Transport,
    Will,
)
from agentorchestr.model.mail import Address

ANN = Address("agentorchestr", "local", "ann")
BEN = Address("agentorchestr", "local", "ben")
CAT = Address("agentorchestr", "local", "cat")
WHO = (ANN, BEN, CAT)
LIMIT_S = 10.0
QUIET_S = 0.5
"""How long nothing must come, before it counts as nothing."""


class World(Protocol):
    """Where transports of one carrier come from, and how their connections break."""

    def transport(
        self, address: Address, *, will: Will | None = None, session_expiry_s: int = 300
    ) -> AbstractAsyncContextManager[Transport]:
        """A transport of *address*, not entered yet."""

    async def cut(self, transport: Transport) -> None:
        """Break the connection without a word; the transport comes back by itself, after this call."""

    async def kill(self, transport: Transport) -> None:
        """Break it for good, as the end of its process would."""


Contract = Callable[[World], Awaitable[None]]


def inbox(receiver: Address, sender: Address) -> str:
    return f"{LETTERS_ROOT}/in/{receiver}/{sender}"


def own_inbox(me: Address) -> str:
    return f"{LETTERS_ROOT}/in/{me}/#"


def card(of: Address) -> str:
    return f"{A2A_ROOT}/discovery/{of}"


async def next_of(transport: Transport, *, within_s: float = LIMIT_S) -> Incoming:
    """The next message, not acknowledged."""
    async with asyncio.timeout(within_s):
        async for message in transport.messages():
            return message
    raise AssertionError("the messages ended")


async def taken(transport: Transport, count: int) -> list[bytes]:
    """The payloads of the next *count* messages, each acknowledged."""
    found = []
    for _ in range(count):
        message = await next_of(transport)
        message.acknowledge()
        found.append(message.payload)
    return found


async def stays_silent(transport: Transport, *, for_s: float = QUIET_S) -> None:
    with pytest.raises(TimeoutError):
        await next_of(transport, within_s=for_s)


async def ready(transport: Transport) -> Transport:
    assert await transport.wait_connected(timeout_s=LIMIT_S)
    return transport


async def a_letter_arrives_as_it_was_sent(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        said = await ann.publish(
            inbox(BEN, ANN),
            "größe\0".encode(),
            properties=Properties(
                response_topic=f"{A2A_ROOT}/reply/{ANN}/x",
                correlation=b"\xff\xfe\x00",
                content_type="application/json",
                utf8=True,
                expiry_s=60,
                user=(("a2a-b", "1"), ("a2a-a", "ü"), ("a2a-b", "2")),
            ),
        )
        assert said is Delivered.ACCEPTED
        got = await next_of(ben)
        got.acknowledge()
    assert got.topic == inbox(BEN, ANN)
    assert got.payload == "größe\0".encode()
    assert not got.retained
    properties = got.properties
    assert properties.response_topic == f"{A2A_ROOT}/reply/{ANN}/x"
    assert properties.correlation == b"\xff\xfe\x00"
    assert properties.content_type == "application/json"
    assert properties.utf8
    assert properties.expiry_s is not None
    assert 0 < properties.expiry_s <= 60
    assert properties.user == (("a2a-b", "1"), ("a2a-a", "ü"), ("a2a-b", "2"))


async def any_bytes_and_no_properties_are_fine(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        assert await ann.publish(inbox(BEN, ANN), b"") is Delivered.ACCEPTED
        assert await ann.publish(inbox(BEN, ANN), b"\xff\x00\xfe") is Delivered.ACCEPTED
        got = [await next_of(ben), await next_of(ben)]
    assert [one.payload for one in got] == [b"", b"\xff\x00\xfe"]
    assert got[0].properties == Properties()


async def letters_keep_their_order(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        sent = [str(number).encode() for number in range(1000)]
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(ann.publish(inbox(BEN, ANN), body)) for body in sent]
        assert {answer.result() for answer in answers} == {Delivered.ACCEPTED}
        assert await taken(ben, 1000) == sent


async def nobody_there_is_told(world: World) -> None:
    async with world.transport(ANN) as ann:
        assert await ann.publish(inbox(BEN, ANN), b"x") is Delivered.NOBODY_THERE


async def a_kept_session_gets_what_came_meanwhile(world: World) -> None:
    async with world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
    async with world.transport(ANN) as ann:
        assert await ann.publish(inbox(BEN, ANN), b"while away") is Delivered.ACCEPTED
    async with world.transport(BEN) as ben:
        assert await taken(ben, 1) == [b"while away"]


async def a_session_without_expiry_ends_with_its_connection(world: World) -> None:
    async with world.transport(BEN, session_expiry_s=0) as ben:
        await ben.subscribe([own_inbox(BEN)])
    async with world.transport(ANN) as ann:
        assert await ann.publish(inbox(BEN, ANN), b"x") is Delivered.NOBODY_THERE


async def exactly_the_unacknowledged_come_again(world: World) -> None:
    async with world.transport(ANN) as ann:
        async with world.transport(BEN) as ben:
            await ben.subscribe([own_inbox(BEN)])
            for number in range(10):
                await ann.publish(inbox(BEN, ANN), str(number).encode())
            for number in range(10):
                message = await next_of(ben)
                if number < 3:
                    message.acknowledge()
            # What a process said before it died was said; its bytes must be out before the cut.
            await ben.publish(f"{A2A_ROOT}/reply/{ANN}/flush", b"")
            await world.kill(ben)
        async with world.transport(BEN) as again:
            assert await taken(again, 7) == [str(number).encode() for number in range(3, 10)]
            await stays_silent(again)


async def an_acknowledgement_after_the_cut_has_no_effect(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        await ann.publish(inbox(BEN, ANN), b"once")
        first = await next_of(ben)
        await world.cut(ben)
        second = await next_of(ben)
        first.acknowledge()
        assert second.payload == b"once"
        second.acknowledge()
        second.acknowledge()
        await stays_silent(ben)


async def a_cut_connection_comes_back_with_its_subscriptions(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN, session_expiry_s=0) as ben:
        await ben.subscribe([own_inbox(BEN)])
        await world.cut(ben)
        await ready(ben)
        assert ben.connected
        assert await ann.publish(inbox(BEN, ANN), b"after") is Delivered.ACCEPTED
        assert await taken(ben, 1) == [b"after"]


async def publishing_without_a_connection_says_so(world: World) -> None:
    async with world.transport(ANN) as ann:
        await world.kill(ann)
        assert not ann.connected
        assert not await ann.wait_connected(timeout_s=0.01)
        with pytest.raises(CarrierGone):
            await ann.publish(inbox(BEN, ANN), b"x")


async def a_card_waits_for_who_comes_later(world: World) -> None:
    async with world.transport(ANN) as ann:
        status = Properties(user=(("a2a-status", "online"),))
        await ann.publish(card(ANN), b"{}", properties=status, retain=True)
    async with world.transport(BEN) as ben:
        await ben.subscribe([f"{A2A_ROOT}/discovery/#"])
        late = await next_of(ben)
        late.acknowledge()
        assert (late.topic, late.payload, late.retained) == (card(ANN), b"{}", True)
        assert late.properties.user_value("a2a-status") == "online"


async def a_living_subscriber_sees_a_new_card_as_not_retained(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([f"{A2A_ROOT}/discovery/+/+/+"])
        await ann.publish(card(ANN), b"{}", retain=True)
        assert not (await next_of(ben)).retained


async def an_empty_card_removes_it(world: World) -> None:
    async with world.transport(ANN) as ann:
        await ann.publish(card(ANN), b"{}", retain=True)
        await ann.publish(card(ANN), b"", retain=True)
    async with world.transport(BEN) as ben:
        await ben.subscribe([f"{A2A_ROOT}/discovery/#"])
        await stays_silent(ben)


async def asking_for_cards_again_gives_all_of_them_again(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ann.publish(card(ANN), b"{}", retain=True)
        for _ in range(2):
            await ben.subscribe([f"{A2A_ROOT}/discovery/+/+/+"])
            assert await taken(ben, 1) == [b"{}"]


async def a_broadcast_reaches_all_but_its_sender(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben, world.transport(CAT) as cat:
        for each in (ann, ben, cat):
            await each.subscribe([f"{LETTERS_ROOT}/all/#"])
        assert await ann.publish(f"{LETTERS_ROOT}/all/{ANN}", b"hear") is Delivered.ACCEPTED
        assert await taken(ben, 1) == await taken(cat, 1) == [b"hear"]
        await stays_silent(ann)


async def what_one_sends_to_oneself_arrives(world: World) -> None:
    async with world.transport(ANN) as ann:
        await ann.subscribe([f"{A2A_ROOT}/reply/{ANN}/#"])
        assert await ann.publish(f"{A2A_ROOT}/reply/{ANN}/sentinel", b"mark") is Delivered.ACCEPTED
        assert await taken(ann, 1) == [b"mark"]


async def a_plain_wildcard_does_not_see_dollar_topics(world: World) -> None:
    async with world.transport(ANN) as ann:
        await ann.subscribe(["#", "+/v1/discovery/#"])
        await ann.publish(card(ANN), b"{}")
        await stays_silent(ann)


async def a_will_is_told_when_a_process_dies(world: World) -> None:
    will = Will(card(ANN), b"{}", Properties(user=(("a2a-status", "offline"),)), retain=True, delay_s=0)
    async with world.transport(BEN) as ben:
        await ben.subscribe([card(ANN)])
        async with world.transport(ANN, will=will) as ann:
            await ready(ann)
            await world.kill(ann)
            told = await next_of(ben)
            told.acknowledge()
    assert told.topic == card(ANN)
    assert told.properties.user_value("a2a-status") == "offline"


async def a_short_cut_within_the_delay_tells_no_will(world: World) -> None:
    async with world.transport(BEN) as ben:
        await ben.subscribe([card(ANN)])
        async with world.transport(ANN, will=Will(card(ANN), b"gone", delay_s=3)) as ann:
            await ready(ann)
            await world.cut(ann)
            await ready(ann)
            await stays_silent(ben, for_s=4.0)


async def leaving_cleanly_tells_no_will(world: World) -> None:
    async with world.transport(BEN) as ben:
        await ben.subscribe([card(ANN)])
        async with world.transport(ANN, will=Will(card(ANN), b"gone", delay_s=0)) as ann:
            await ready(ann)
        await stays_silent(ben)


async def an_expired_letter_does_not_arrive(world: World) -> None:
    async with world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
    async with world.transport(ANN) as ann:
        await ann.publish(inbox(BEN, ANN), b"old", properties=Properties(expiry_s=1))
        await stays_silent(ann, for_s=2.1)
        await ann.publish(inbox(BEN, ANN), b"new", properties=Properties(expiry_s=60))
    async with world.transport(BEN) as ben:
        assert await taken(ben, 1) == [b"new"]


async def writing_under_another_name_is_refused(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN), f"{LETTERS_ROOT}/all/#", card(CAT)])
        for topic in (inbox(BEN, CAT), f"{LETTERS_ROOT}/all/{CAT}", card(CAT)):
            assert await ann.publish(topic, b"forged", retain=topic == card(CAT)) is Delivered.REFUSED
        await stays_silent(ben)


async def listening_in_on_another_hears_nothing(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben, world.transport(CAT) as cat:
        await ben.subscribe([own_inbox(BEN), f"{A2A_ROOT}/reply/{BEN}/#"])
        await cat.subscribe(
            [own_inbox(BEN), f"{LETTERS_ROOT}/in/#", "#", f"{A2A_ROOT}/#", f"{A2A_ROOT}/reply/{BEN}/#"]
        )
        await ann.publish(inbox(BEN, ANN), b"secret")
        await ann.publish(f"{A2A_ROOT}/reply/{BEN}/1", b"secret too")
        assert await taken(ben, 2) == [b"secret", b"secret too"]
        await stays_silent(cat)


async def the_messages_end_with_the_transport(world: World) -> None:
    async with world.transport(ANN) as ann:
        waiting = ann.messages()
    assert [message async for message in waiting] == []


UNSAYABLE: tuple[tuple[str, Properties], ...] = (
    *(
        (inbox(BEN, ANN), properties)
        for properties in (
            Properties(user=(("a2a-subject", "two\nlines"),)),
            Properties(user=(("nul\0", ""),)),
            Properties(user=(("a2a-x", "y" * 65536),)),
            Properties(content_type="\ud800"),
            Properties(response_topic="a/#"),
            Properties(correlation=b"x" * 65536),
            Properties(expiry_s=-1),
            Properties(expiry_s=2**32),
        )
    ),
    *((topic, Properties()) for topic in (f"{LETTERS_ROOT}/all/+", f"{LETTERS_ROOT}/all/\x7f", "")),
)
"""Topics and properties that MQTT does not let pass."""
LARGEST_BYTES = 1024 * 1024


async def words_that_no_broker_takes_are_refused(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        for topic, properties in UNSAYABLE:
            assert await ann.publish(topic, b"x", properties=properties) is Delivered.REFUSED
        assert await ann.publish(inbox(BEN, ANN), b"small") is Delivered.ACCEPTED
        assert await taken(ben, 1) == [b"small"]


async def what_is_too_large_is_refused(world: World) -> None:
    async with world.transport(ANN) as ann, world.transport(BEN) as ben:
        await ben.subscribe([own_inbox(BEN)])
        large = b"x" * (LARGEST_BYTES - 1000)
        assert await ann.publish(inbox(BEN, ANN), large) is Delivered.ACCEPTED
        assert await ann.publish(inbox(BEN, ANN), b"x" * LARGEST_BYTES) is Delivered.REFUSED
        crowded = Properties(user=tuple(("a2a-x", "y" * 60000) for _ in range(20)))
        assert await ann.publish(inbox(BEN, ANN), b"", properties=crowded) is Delivered.REFUSED
        assert await ann.publish(inbox(BEN, ANN), b"small") is Delivered.ACCEPTED
        assert await taken(ben, 2) == [large, b"small"]


CONTRACT: tuple[Contract, ...] = (
    a_letter_arrives_as_it_was_sent,
    any_bytes_and_no_properties_are_fine,
    letters_keep_their_order,
    nobody_there_is_told,
    a_kept_session_gets_what_came_meanwhile,
    a_session_without_expiry_ends_with_its_connection,
    exactly_the_unacknowledged_come_again,
    an_acknowledgement_after_the_cut_has_no_effect,
    a_cut_connection_comes_back_with_its_subscriptions,
    publishing_without_a_connection_says_so,
    a_card_waits_for_who_comes_later,
    a_living_subscriber_sees_a_new_card_as_not_retained,
    an_empty_card_removes_it,
    asking_for_cards_again_gives_all_of_them_again,
    a_broadcast_reaches_all_but_its_sender,
    what_one_sends_to_oneself_arrives,
    a_plain_wildcard_does_not_see_dollar_topics,
    a_will_is_told_when_a_process_dies,
    a_short_cut_within_the_delay_tells_no_will,
    leaving_cleanly_tells_no_will,
    an_expired_letter_does_not_arrive,
    writing_under_another_name_is_refused,
    listening_in_on_another_hears_nothing,
    the_messages_end_with_the_transport,
    words_that_no_broker_takes_are_refused,
    what_is_too_large_is_refused,
)
