"""The D and S rules: this agent's card on the bus, and the cards of others."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agentorchestr.a2a.card import CardPublisher, will_for
from agentorchestr.a2a.card_json import BINDING_URI, card_json, parse_card, read_card
from agentorchestr.a2a.errors import A2AError
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.a2a.tasks import Json
from agentorchestr.a2a.watcher import CardWatcher
from agentorchestr.model.carrier import Properties
from agentorchestr.model.mail import Address, AgentCard, Skill
from tests.a2a.agents import Puppet
from tests.a2a.bus import Bus, Packet, Wire
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, Raw

pytestmark = pytest.mark.anyio
TOPIC = f"$a2a/v1/discovery/{BEN}"
CARD = card_json(
    AgentCard(BEN, role="worker", skills=(Skill("review", "reads code"),)), broker_url="mqtt://h"
)


def user(packet: Packet) -> dict[str, str]:
    return dict(packet.properties.user)


@asynccontextmanager
async def shown(bus: Bus, clock: FakeClock, card: Json = CARD) -> AsyncIterator[tuple[CardPublisher, Wire]]:
    async with (
        bus.wire(str(BEN), will=will_for(BEN, card)) as wire,
        CardPublisher(wire, BEN, card, clock=clock) as publisher,
    ):
        yield publisher, wire


@asynccontextmanager
async def watching(bus: Bus, clock: FakeClock, unit: str = "lab") -> AsyncIterator[CardWatcher]:
    async with bus.wire(str(ANN)) as wire, CardWatcher(wire, "acme", unit, clock=clock) as watcher:
        await clock.settle()
        yield watcher


async def late(bus: Bus) -> list[Packet]:
    """What a subscriber sees that comes now."""
    async with Raw(bus, Address("acme", "lab", "late")) as raw:
        await raw.listen("$a2a/v1/discovery/acme/lab/+")
        return raw.taken()


async def test_C5_D1_D2_the_card_is_retained_and_says_online(bus: Bus, clock: FakeClock) -> None:
    async with shown(bus, clock):
        (packet,) = await late(bus)
    assert packet.retained
    assert packet.topic == TOPIC
    assert json.loads(packet.payload) == CARD
    assert user(packet) == {"a2a-status": "online", "a2a-status-source": "agent"}
    assert {packet.topic for packet in bus.published(sender=str(BEN))} == {TOPIC}


async def test_D3_the_will_is_the_card_and_says_offline(bus: Bus, clock: FakeClock) -> None:
    will = will_for(BEN, CARD)
    assert (will.topic, json.loads(will.payload), will.retain) == (TOPIC, CARD, True)
    async with shown(bus, clock) as (_, wire), watching(bus, clock) as watcher:
        wire.cut()
        (packet,) = await late(bus)
        assert user(packet) == {"a2a-status": "offline", "a2a-status-source": "lwt"}
        await clock.settle()
        seen = watcher.card_of(BEN)
        assert seen is not None
        assert (seen.offline, seen.source) == (True, "lwt")


def test_G15_the_will_waits_a_little() -> None:
    assert will_for(BEN, CARD).delay_s == 5


async def test_D3_who_comes_back_after_its_will_is_shown_again(bus: Bus, clock: FakeClock) -> None:
    async with shown(bus, clock) as (_, wire):
        wire.cut()
        wire.back()
        await clock.settle()
        (packet,) = await late(bus)
    assert user(packet)["a2a-status"] == "online"


async def test_D4_a_stop_is_told_by_the_agent_itself(bus: Bus, clock: FakeClock) -> None:
    async with shown(bus, clock):
        pass
    (packet,) = await late(bus)
    assert json.loads(packet.payload) == CARD
    assert user(packet) == {"a2a-status": "offline", "a2a-status-source": "agent"}


async def test_D5_unregistering_leaves_nothing(bus: Bus, clock: FakeClock) -> None:
    async with shown(bus, clock) as (publisher, _):
        assert await publisher.unregister()
    assert await late(bus) == []
    assert bus.published("discovery")[-1].payload == b""


async def test_D6_an_update_is_the_whole_card(bus: Bus, clock: FakeClock) -> None:
    changed = CARD | {"description": "another"}
    async with shown(bus, clock) as (publisher, _):
        await publisher.update(changed, user=(("a2a-ao-state", "idle"),))
        (packet,) = await late(bus)
    assert json.loads(packet.payload) == changed
    assert user(packet)["a2a-ao-state"] == "idle"


def test_D7_D8_G8_G9_a_card_of_ours_is_one_of_a2a(bus: Bus) -> None:
    read = read_card(CARD)
    assert read.speaks_mqtt
    assert not read.asks_for_token
    faces = [(face.protocol_binding, face.protocol_version) for face in read.supported_interfaces]
    assert faces == [(BINDING_URI, "1.0"), ("MQTTv5+JSONRPCv2", "1.0")]
    assert all(skill.tags for skill in read.skills)
    (extension,) = CARD["capabilities"]["extensions"]
    assert extension["params"] == {"requestTopic": f"$a2a/v1/request/{BEN}"}
    assert not extension["required"]


@pytest.mark.parametrize("member", ["name", "skills", "supportedInterfaces", "defaultInputModes", "version"])
def test_D7_what_is_no_card_is_not_published(bus: Bus, member: str) -> None:
    for broken in ({key: value for key, value in CARD.items() if key != member}, CARD | {member: []}):
        with pytest.raises(A2AError):
            CardPublisher(bus.wire("x"), BEN, broken)


async def test_D10_size_and_rate_are_kept(bus: Bus, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="65536"):
        will_for(BEN, CARD | {"description": "x" * 65536})
    async with shown(bus, clock) as (publisher, _):
        for number in range(9):
            await publisher.update(CARD | {"description": str(number)})
        import asyncio

        eleventh = asyncio.ensure_future(publisher.update(CARD))
        await clock.advance(59)
        assert not eleventh.done()
        await clock.advance(2)
        assert eleventh.done()
        await clock.advance(60)
    assert len(bus.published("discovery")) == 12


async def test_R1_the_request_topic_is_subscribed_before_the_card_is_shown(
    bus: Bus, clock: FakeClock
) -> None:
    async with bus.wire(str(BEN)) as wire, Switchboard(wire) as board:
        card = CardPublisher(board.branch(), BEN, CARD, clock=clock)
        async with Responder(board.branch(), BEN, Puppet(), card=card, clock=clock):
            acts = [kind if kind == "publish" else what for kind, _, what in bus.record]
            assert acts.index(f"$a2a/v1/request/{BEN}") < acts.index("publish")
    (packet,) = await late(bus)
    assert user(packet)["a2a-status"] == "offline"


async def test_S1_S2_cards_shown_before_are_known(bus: Bus, clock: FakeClock) -> None:
    async with shown(bus, clock), watching(bus, clock) as watcher:
        assert [seen.address for seen in watcher.cards()] == [BEN]
        assert not watcher.cards()[0].offline
        assert watcher.cards()[0].card == CARD
    subscribed = [what for kind, who, what in bus.record if kind == "subscribe" and who == str(ANN)]
    assert subscribed == ["$a2a/v1/discovery/acme/lab/+"]


async def test_S3_a_later_card_replaces_the_earlier_one(bus: Bus, clock: FakeClock) -> None:
    async with shown(bus, clock) as (publisher, _), watching(bus, clock) as watcher:
        await publisher.update(CARD | {"description": "another"})
        await clock.settle()
        assert [seen.card["description"] for seen in watcher.cards()] == ["another"]


@pytest.mark.parametrize(
    ("pairs", "status"),
    [
        ([("online", "agent"), ("offline", "broker")], ("offline", "broker")),
        ([("offline", "broker"), ("online", "agent")], ("offline", "broker")),
        ([("online", "agent")], ("online", "agent")),
        ([("online", "")], ("online", "")),
        ([], ("", "")),
    ],
)
async def test_S5_what_the_broker_says_goes_first(
    bus: Bus, clock: FakeClock, pairs: list[tuple[str, str]], status: tuple[str, str]
) -> None:
    told: list[tuple[str, str]] = []
    for word, source in pairs:
        told += [("a2a-status", word)] + ([("a2a-status-source", source)] if source else [])
    async with bus.wire("x") as wire, watching(bus, clock) as watcher:
        await wire.publish(TOPIC, json.dumps(CARD).encode(), properties=Properties(user=tuple(told)))
        await clock.settle()
        (seen,) = watcher.cards()
    assert (seen.status, seen.source) == status


async def test_S5_a_later_word_of_the_broker_counts(bus: Bus, clock: FakeClock) -> None:
    gone = (("a2a-status", "offline"), ("a2a-status-source", "broker"))
    async with shown(bus, clock), bus.wire("x") as wire, watching(bus, clock) as watcher:
        await wire.publish(TOPIC, json.dumps(CARD).encode(), properties=Properties(user=gone))
        await clock.settle()
        assert watcher.cards()[0].offline


async def test_S7_an_empty_payload_removes_the_card(bus: Bus, clock: FakeClock) -> None:
    async with shown(bus, clock) as (publisher, _), watching(bus, clock) as watcher:
        await publisher.unregister()
        await clock.settle()
        assert watcher.card_of(BEN) is None


@pytest.mark.parametrize("poison", [b"{", b"\xff", b"[]", b'{"name": "x"}', b"[" * 100_000, b" " * 70_000])
async def test_a_poisoned_card_is_passed_over(bus: Bus, clock: FakeClock, poison: bytes) -> None:
    async with shown(bus, clock), bus.wire("x") as wire, watching(bus, clock) as watcher:
        await wire.publish(TOPIC, poison)
        await wire.publish("$a2a/v1/discovery/acme/lab/eve", poison, retain=True)
        await clock.settle()
        assert [seen.address for seen in watcher.cards()] == [BEN]
    assert parse_card(poison) is None


async def test_waiting_for_a_card_ends_with_it_or_with_time(bus: Bus, clock: FakeClock) -> None:
    import asyncio

    async with watching(bus, clock) as watcher:
        came = asyncio.ensure_future(watcher.wait_until(lambda: bool(watcher.cards()), timeout_s=5))
        never = asyncio.ensure_future(watcher.wait_until(lambda: False, timeout_s=5))
        await clock.settle()
        async with shown(bus, clock):
            await clock.settle()
            assert await came
            assert not never.done()
            await clock.advance(5)
            assert not await never


def test_cards_of_other_makers_are_understood() -> None:
    emqx = {
        "name": "x",
        "description": "y",
        "version": "0.1.0",
        "supportedInterfaces": [
            {"url": "mqtt://h", "protocolBinding": "MQTTv5+JSONRPCv2", "protocolVersion": "1.0.0"}
        ],
        "capabilities": {"streaming": True},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "x", "name": "x", "description": "y"}],
    }
    assert read_card(emqx).speaks_mqtt
    assert read_card(emqx | {"securityRequirements": [{"schemes": {"oauth": {}}}]}).asks_for_token
    http = emqx | {
        "supportedInterfaces": [{"url": "h", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]
    }
    assert not read_card(http).speaks_mqtt
