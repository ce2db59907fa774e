"""What comes in that is no letter: refused, told where that is possible, and nobody else is disturbed."""

import json
from dataclasses import replace

import pytest

from agentorchestr.model.mail import Address, Letter, LetterKind, LetterState
from agentorchestr.swarm import topics
from agentorchestr.swarm.ids import new_id
from agentorchestr.swarm.wire import Unreadable, decode_letter, encode_letter
from tests.swarm.conftest import Post, first, note
from tests.swarm.transport_contract import ANN, BEN, CAT

pytestmark = pytest.mark.anyio
TO_BEN = topics.directed(BEN, ANN)


def fields(**changes: object) -> dict[str, object]:
    whole = {"v": 1, "id": "an-id", "from": str(ANN), "to": str(BEN), "body": "b", "subject": "s"}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def read(payload: bytes, topic: str = TO_BEN) -> Letter:
    return decode_letter(topic, payload, me=BEN, verified=True)


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "no json": b"hello",
    "half json": b'{"id": "x"',
    "not utf-8": b'{"body": "\xff\xfe"}',
    "random bytes": bytes(range(256)),
    "list": b"[]",
    "number": b"1e999",
    "deep list": b"[" * 100_000,
    "deep in a field": json.dumps(fields()).encode()[:-1]
    + b', "x": '
    + b'{"a":' * 20_000
    + b"1"
    + b"}" * 20_001,
    "oversized": json.dumps(fields(x="y" * 500_000)).encode(),
    "body oversized": json.dumps(fields(body="ü" * 33_000)).encode(),
    "body no text": json.dumps(fields(body=7)).encode(),
    "no body": json.dumps(fields(body=None)).encode(),
    "no id": json.dumps(fields(id=None)).encode(),
    "id with a line break": json.dumps(fields(id="x\n")).encode(),
    "long id": json.dumps(fields(id="x" * 65)).encode(),
    "long subject": json.dumps(fields(subject="x" * 300_000)).encode(),
    "subject of 201": json.dumps(fields(subject="x" * 201)).encode(),
    "subject with a line break": json.dumps(fields(subject="a\nFrom: operator")).encode(),
    "subject with an escape": json.dumps(fields(subject="\x1b[2J")).encode(),
    "subject with a line separator": json.dumps(fields(subject="a\u2028b")).encode(),
    "thread with a line break": json.dumps(fields(thread="a\r")).encode(),
    "lone surrogate": b'{"id":"x","from":"a/b/c","to":"a/b/c","body":"\\ud800"}',
    "from another": json.dumps(fields(**{"from": str(CAT)})).encode(),
    "from nobody": json.dumps(fields(**{"from": "operator"})).encode(),
    "for another": json.dumps(fields(to=str(CAT))).encode(),
    "for everybody": json.dumps(fields(to="*")).encode(),
    "reply to no address": json.dumps(fields(reply_to="a b/c")).encode(),
    "time no number": json.dumps(fields(ts="now")).encode(),
    "time nan": b'{"id":"x","from":"a/b/c","to":"d/e/f","body":"","ts":NaN}',
    "time out of reach": json.dumps(fields(expires_at=1e300)).encode(),
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_breaks_a_rule_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Unreadable):
        read(payload)


def test_a_letter_comes_back_as_it_went_in() -> None:
    letter = Letter(
        "i.D_-1",
        ANN,
        BEN,
        "größe\0\x1b\n# From: operator",
        subject="ü",
        kind=LetterKind.ASK,
        content_type="text/markdown",
        priority="sofort",
        reply_to=CAT,
        thread="t",
        answers="a",
        created_at=1.5,
        expires_at=2.5,
        verified=True,
    )
    assert read(encode_letter(letter)) == letter
    to_all = replace(letter, receiver=None)
    assert read(encode_letter(to_all), topics.broadcast(ANN)) == to_all


def test_a_newer_peers_fields_and_kinds_do_no_harm() -> None:
    payload = json.dumps(fields(v=2, kind="dance", seq=7, sig={"a": [1]})).encode()
    assert read(payload).kind is LetterKind.NOTE


def test_whether_a_name_is_verified_is_not_read_from_the_letter() -> None:
    payload = json.dumps(fields(verified=True)).encode()
    assert not decode_letter(TO_BEN, payload, me=BEN, verified=False).verified


@pytest.mark.parametrize("topic", ["agentorchestr/v1/in/x", "", "a/b", "agentorchestr/v1/in/o/u/a/o//a"])
def test_a_topic_without_a_sender_is_unreadable(topic: str) -> None:
    with pytest.raises(Unreadable):
        read(json.dumps(fields()).encode(), topic)


def test_the_largest_body_of_the_worst_characters_fits() -> None:
    letter = replace(note(BEN, "\x01" * 65_536), letter_id="x", sender=ANN)
    assert read(encode_letter(letter)).body == letter.body


async def test_nothing_malformed_stops_the_letters_behind_it(post: Post) -> None:
    async with post.world.transport(ANN) as ann, post.agent(BEN) as ben:
        assert await ann.wait_connected(timeout_s=10)
        for payload in MALFORMED.values():
            await ann.publish(TO_BEN, payload)
        await ann.publish(TO_BEN, json.dumps(fields(id="good")).encode())
        assert [letter.letter_id for letter in await first(ben.inbox(), 1)] == ["good"]


async def test_a_sender_is_told_what_was_refused_of_its_letter(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN):
        sent = await ann.send(note(BEN, "good"))
        # A letter that this side thinks is fine and the other does not: the second arrival is judged anew.
        broken = replace(sent, letter_id=new_id())
        ann.store.outbox.put([broken], next_try_at=9e9, now=0.0)
        payload = json.dumps({**fields(id=broken.letter_id), "subject": "a\nb"}).encode()
        await ann.transport.publish(TO_BEN, payload)
        standing = await ann.wait_for(broken.letter_id, LetterState.REFUSED, timeout_s=10)
        assert standing is not None
        assert standing.state is LetterState.REFUSED
        assert "subject" in standing.why
        assert (await ann.wait_for(sent.letter_id, LetterState.RECEIVED, timeout_s=10)) is not None


@pytest.mark.parametrize("state", [state.value for state in LetterState] + ["", "nonsense"])
async def test_a_receipt_of_somebody_else_moves_nothing(local: Post, state: str) -> None:
    async with local.agent(ANN) as ann, local.agent(BEN) as ben, local.agent(CAT) as cat:
        sent = await ann.send(note(Address("o", "u", "nobody")))
        forged = replace(
            note(ANN, json.dumps({"state": state, "ids": [sent.letter_id]})), kind=LetterKind.RECEIPT
        )
        await cat.send(forged)
        await ben.send(note(ANN, "mark"))
        await first(ann.inbox(), 1)
        assert (await ann.state_of(sent.letter_id) or pytest.fail("gone")).state is LetterState.STORED


async def test_a_second_arrival_has_no_effect_but_a_receipt(post: Post) -> None:
    async with post.world.transport(ANN) as ann, post.agent(BEN) as ben:
        assert await ann.wait_connected(timeout_s=10)
        await ann.subscribe(topics.inbox_filters(ANN))
        for body in ("first", "other body"):
            await ann.publish(TO_BEN, json.dumps(fields(body=body)).encode())
        await ann.publish(TO_BEN, json.dumps(fields(id="last")).encode())
        assert [letter.body for letter in await first(ben.inbox(), 2)] == ["first", "b"]
        told: list[str] = []
        async for message in ann.messages():
            message.acknowledge()
            told += json.loads(json.loads(message.payload)["body"])["ids"]
            if len(told) == 3:
                break
        assert sorted(told) == ["an-id", "an-id", "last"]


async def test_the_same_id_of_two_senders_is_two_letters(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(CAT) as cat, post.agent(BEN) as ben:
        for sender in (ann, cat):
            await sender.send(replace(note(BEN), letter_id="same"))
        assert {letter.sender for letter in await first(ben.inbox(), 2)} == {ANN, CAT}
        assert await ben.advance("same", LetterState.READ)
        for sender in (ann, cat):
            standing = await sender.wait_for("same", LetterState.READ, timeout_s=10)
            assert standing is not None
            assert standing.state is LetterState.READ
