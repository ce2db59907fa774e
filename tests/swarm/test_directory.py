"""Who is on the carrier, and what cannot mislead us about it."""

import asyncio
import json
from dataclasses import replace

import pytest

from agentorchestr.model.carrier import Properties
from agentorchestr.model.mail import Address, AgentCard, LetterState, Skill
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import encode_card
from agentorchestr.swarm.directory import LEASE_S, Directory
from agentorchestr.swarm.inprocess import LocalCarrier
from tests.swarm.conftest import Post, Slow, note, soon
from tests.swarm.transport_contract import ANN, BEN, CAT

GONE = AgentCard(BEN, online=False, host="gone")

pytestmark = pytest.mark.anyio


async def test_the_first_listing_is_complete(local: Post) -> None:
    many = [Address("o", "u", f"agent-{number}") for number in range(3000)]
    assert isinstance(local.world.carrier, LocalCarrier)  # type: ignore[attr-defined]  # the in-process world
    for address in many:
        local.world.carrier.publish(  # type: ignore[attr-defined]  # the same
            address,
            topics.card(address),
            encode_card(AgentCard(address)),
            properties=Properties(),
            retain=True,
        )
    async with local.agent(ANN) as ann:
        directory = Directory(ann)
        assert await directory.complete()
        assert {card.address for card in directory.agents()} == {ANN, *many}


async def test_two_that_ask_at_once_both_get_the_whole_list(post: Post) -> None:
    async def listed(directory: Directory) -> set[Address]:
        assert await directory.complete()
        return {card.address for card in directory.agents()}

    async with post.agent(BEN):
        for _ in range(5):
            async with post.agent(ANN) as ann:
                directory = Directory(ann)
                first, second = await asyncio.gather(listed(directory), listed(directory))
                assert first == second == {ANN, BEN}


async def test_a_card_tells_what_its_agent_said(post: Post) -> None:
    async with post.agent(ANN, skills=("plan",)) as ann, post.agent(BEN, skills=("review", "test")) as ben:
        directory = Directory(ann)
        assert await directory.complete()
        assert await directory.complete()
        assert [card.address for card in directory.agents("review")] == [BEN]
        assert [card.address for card in directory.agents("plan")] == [ANN]
        assert directory.agents("revie") == ()
        told = AgentCard(
            BEN,
            role="worker",
            program="claude",
            description="größe",
            skills=(Skill("review", "reads"),),
            state="idle",
            free_slots=7,
            host="h",
            instance="i1",
        )
        await ben.show(told)
        await soon(lambda: (directory.find(BEN) or told).free_slots == 7 and directory.find(BEN))
        found = directory.find(BEN)
        assert found is not None
        assert replace(found, seen_at=0.0) == told
        assert directory.source(BEN) == "agent"


async def test_who_leaves_is_offline_and_who_dies_as_well(post: Post) -> None:
    async with post.agent(ANN) as ann:
        directory = Directory(ann)
        async with post.agent(BEN):
            assert await directory.complete()
            await soon(lambda: directory.find(BEN))
        await soon(lambda: not directory.agents(online=True)[1:])
        found = directory.find(BEN)
        assert found is not None
        assert not found.online
        assert directory.source(BEN) == "agent"
        async with post.agent(CAT, will=True) as cat:
            await soon(lambda: (card := directory.find(CAT)) and card.online)
            await post.world.kill(cat.transport)
            await soon(lambda: (card := directory.find(CAT)) and not card.online)
            assert directory.source(CAT) == "lwt"


async def test_a_will_of_a_short_cut_is_corrected(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN, will=True) as ben:
        directory = Directory(ann)
        assert await directory.complete()
        seen: list[bool] = []
        directory.follow(lambda _, card: seen.append(card is not None and card.online))
        await post.world.cut(ben.transport)
        await ann.transport.publish(topics.card(ANN), b"{}", retain=True)
        await soon(lambda: (card := directory.find(BEN)) and card.online)
        assert True in seen or not seen


async def test_a_card_that_is_not_shown_again_ages(local: Post) -> None:
    clock = Slow()
    async with local.agent(ANN, clock=clock) as ann, local.agent(BEN):
        directory = Directory(ann)
        assert await directory.complete()
        assert (directory.find(BEN) or GONE).online
        clock.ahead_s = LEASE_S + 1
        assert not (directory.find(BEN) or GONE).online
        assert directory.source(BEN) == "age"
        assert directory.agents(online=True)[0].address == ANN


POISON = {
    "empty list": b"[]",
    "number": b"1",
    "text": b'"x"',
    "no json": b"{",
    "not utf-8": b"\xff\xfe{}",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "oversized": json.dumps({"description": "x" * 70_000}).encode(),
    "skills no list": b'{"skills": 7}',
    "skill without id": b'{"skills": [{"name": "x"}]}',
    "escapes in a skill": b'{"skills": [{"id": "\\u001b[2J"}]}',
    "too many skills": json.dumps({"skills": [{"id": str(n)} for n in range(500)]}).encode(),
    "lone surrogate": b'{"description": "\\ud800"}',
}


@pytest.mark.parametrize("payload", POISON.values(), ids=POISON.keys())
async def test_a_poisoned_card_changes_nothing(post: Post, payload: bytes) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN) as ben:
        await ben.transport.publish(topics.card(BEN), payload, retain=True)
        directory = Directory(ann)
        assert await directory.complete()
        assert directory.find(BEN) is None
        await ben.show(replace(ben.card, host="later"))
        await soon(lambda: (card := directory.find(BEN)) and card.host == "later")


async def test_odd_properties_are_left_out(local: Post) -> None:
    async with local.agent(ANN) as ann, local.world.transport(BEN) as ben:
        assert await ben.wait_connected(timeout_s=10)
        directory = Directory(ann)
        assert await directory.complete()
        odd = Properties(
            user=(
                ("a2a-status", "online"),
                ("a2a-status-source", "agent"),
                ("a2a-status", "offline"),
                ("a2a-status-source", "broker"),
                ("a2a-ao-slots", "-5e9"),
                ("a2a-ao-role", "one\u2028two"),
                ("a2a-ao-host", "h" * 500),
                ("a2a-ao-at", "nan"),
                ("a2a-zzz", "?"),
                ("a2a-ao-state", "odd"),
            )
        )
        text = json.dumps({"name": "somebody else", "description": "a\x1b[2J\nb"}).encode()
        await ben.publish(topics.card(BEN), text, properties=odd, retain=True)
        await soon(lambda: (card := directory.find(BEN)) and card.state == "odd")
        found = directory.find(BEN)
        assert found is not None
        assert (found.online, found.free_slots, found.role, found.host) == (False, 1, "", "")
        assert found.description == "a [2J b"
        assert directory.source(BEN) == "broker"


async def test_an_empty_card_removes_an_agent(post: Post) -> None:
    async with post.agent(ANN) as ann:
        directory = Directory(ann)
        assert await directory.complete()
        async with post.agent(BEN) as ben:
            await soon(lambda: directory.find(BEN))
            await ben.transport.publish(topics.card(BEN), b"", retain=True)
            await soon(lambda: directory.find(BEN) is None)


async def test_who_comes_back_gets_its_letters_at_once(post: Post) -> None:
    from tests.swarm.conftest import PATIENT

    async with post.agent(ANN, timing=PATIENT) as ann:
        directory = Directory(ann)
        assert await directory.complete()
        sent = await ann.send(note(BEN))

        async def unheard() -> bool:
            standing = await ann.state_of(sent.letter_id)
            return standing is not None and standing.tries >= 1

        await soon(unheard)
        async with post.agent(BEN):
            standing = await ann.wait_for(sent.letter_id, LetterState.RECEIVED, timeout_s=10)
            assert standing is not None
            assert standing.state is LetterState.RECEIVED
