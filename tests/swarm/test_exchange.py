"""Letters from end to end: on disk at both ends, once, and the sender knows how far."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.model.carrier import Incoming
from agentorchestr.model.mail import Address, LetterState, Standing
from agentorchestr.swarm import topics
from agentorchestr.swarm.exchange import KEPT_S, Exchange
from agentorchestr.swarm.outgoing import NOBODY
from tests.swarm.conftest import PATIENT, Post, Slow, first, note, soon
from tests.swarm.transport_contract import ANN, BEN, CAT

pytestmark = pytest.mark.anyio


async def got_to(exchange: Exchange, letter_id: str, state: LetterState) -> Standing:
    standing = await exchange.wait_for(letter_id, state, timeout_s=15)
    assert standing is not None
    return standing


async def until_why(exchange: Exchange, letter_id: str, why: str) -> None:
    async def told() -> bool:
        standing = await exchange.state_of(letter_id)
        return standing is not None and (standing.state, standing.why) == (LetterState.STORED, why)

    await soon(told)


async def reached(
    exchange: Exchange, letter_id: str, who: set[Address], state: LetterState = LetterState.RECEIVED
) -> bool:
    found = await exchange.reached(letter_id)
    return {address for address, there in found.items() if there is state} == who


async def test_a_letter_arrives_and_its_sender_learns_of_it(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN) as ben:
        sent = await ann.send(note(BEN, "größe", subject="s", thread="t", priority="high", reply_to=CAT))
        [got] = await first(ben.inbox(), 1)
        assert got == replace(sent, verified=True)
        assert (await got_to(ann, sent.letter_id, LetterState.RECEIVED)).state is LetterState.RECEIVED


async def test_a_thousand_letters_wait_for_a_receiver_that_is_down(post: Post) -> None:
    async with post.agent(BEN):
        pass
    async with post.agent(ANN) as ann:
        sent = await ann.send_many([note(BEN, str(number)) for number in range(500)])
        async with asyncio.TaskGroup() as group:
            single = [group.create_task(ann.send(note(BEN, str(500 + n)))) for n in range(500)]
        ids = [letter.letter_id for letter in sent] + [task.result().letter_id for task in single]
        async with post.agent(BEN) as ben:
            got = [letter.letter_id for letter in await first(ben.inbox(), 1000)]
            assert sorted(got) == sorted(ids)
            for letter_id in ids:
                assert (await got_to(ann, letter_id, LetterState.RECEIVED)).state is LetterState.RECEIVED


async def test_nobody_there_is_told_and_the_letter_arrives_later(post: Post) -> None:
    async with post.agent(ANN) as ann:
        letters = await ann.send_many([note(BEN, str(number)) for number in range(20)])
        ids = [letter.letter_id for letter in letters]
        for letter_id in ids:
            await until_why(ann, letter_id, NOBODY)
        async with post.agent(BEN) as ben:
            got = await first(ben.inbox(), 20)
            assert [letter.letter_id for letter in got] == ids
            standing = await got_to(ann, ids[-1], LetterState.RECEIVED)
            assert (standing.state, standing.why) == (LetterState.RECEIVED, "")


async def test_expiry_is_told_to_the_sender(post: Post) -> None:
    async with post.agent(ANN) as ann:
        sent = await ann.send(note(BEN, expires_at=ann.clock.now() + 0.6))
        standing = await got_to(ann, sent.letter_id, LetterState.RECEIVED)
        assert (standing.state, standing.why, standing.next_try_at) == (LetterState.EXPIRED, NOBODY, 0.0)


async def test_expiry_is_told_when_the_carrier_had_taken_the_letter(post: Post) -> None:
    async with post.agent(BEN):
        pass
    async with post.agent(ANN) as ann:
        sent = await ann.send(note(BEN, expires_at=ann.clock.now() + 1.0))
        assert (await got_to(ann, sent.letter_id, LetterState.SENT)).state is LetterState.SENT
        assert (await got_to(ann, sent.letter_id, LetterState.RECEIVED)).state is LetterState.EXPIRED


async def test_later_states_reach_the_sender_in_their_order(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN) as ben:
        moves: list[LetterState] = []
        ann.follow(lambda _, state, __: moves.append(state))
        sent = await ann.send(note(BEN))
        [got] = await first(ben.inbox(), 1)
        for state in (
            LetterState.HANDED,
            LetterState.TURN_STARTED,
            LetterState.READ,
            LetterState.ACTED,
        ):
            assert await ben.advance(got.letter_id, state)
            assert (await got_to(ann, sent.letter_id, state)).state is state
        assert not await ben.advance(got.letter_id, LetterState.READ)
        told = ben.store.outbox.recent(BEN, limit=9)
        assert len(told) == 4
        for receipt in told:
            assert (await got_to(ben, receipt.letter.letter_id, LetterState.RECEIVED)).tries <= 1
        assert moves[-4:] == [
            LetterState.HANDED,
            LetterState.TURN_STARTED,
            LetterState.READ,
            LetterState.ACTED,
        ]


async def test_a_later_state_waits_for_a_sender_that_is_away(post: Post) -> None:
    async with post.agent(BEN) as ben:
        async with post.agent(ANN) as ann:
            sent = await ann.send(note(BEN))
            [got] = await first(ben.inbox(), 1)
        assert await ben.advance(got.letter_id, LetterState.ACTED)
        async with post.agent(ANN) as ann:
            assert (await got_to(ann, sent.letter_id, LetterState.ACTED)).state is LetterState.ACTED


async def test_only_a_receivers_states_can_be_told(local: Post) -> None:
    async with local.agent(BEN) as ben:
        for state in (LetterState.SENT, LetterState.RECEIVED, LetterState.EXPIRED, LetterState.REFUSED):
            with pytest.raises(UsageError):
                await ben.advance("x", state)
        assert not await ben.advance("unknown", LetterState.READ)


async def test_a_broadcast_reaches_all_others_once(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN) as ben, post.agent(CAT) as cat:
        sent = await ann.broadcast(note(BEN, "hear"))
        assert [letter.body for letter in await first(ben.inbox(), 1)] == ["hear"]
        assert [letter.receiver for letter in await first(cat.inbox(), 1)] == [None]
        await soon(lambda: reached(ann, sent.letter_id, {BEN, CAT}))
        assert await ann.take() == []
        await ben.advance(sent.letter_id, LetterState.READ)
        await soon(lambda: reached(ann, sent.letter_id, {BEN}, LetterState.READ))


async def test_what_was_not_handled_comes_again_and_what_was_does_not(post: Post) -> None:
    async with post.agent(ANN) as ann:
        async with post.agent(BEN) as ben:
            await ann.send_many([note(BEN, str(number)) for number in range(5)])
            assert [letter.body for letter in await first(ben.inbox(), 3)] == ["0", "1", "2"]
            assert [letter.body for letter in await first(ben.inbox(), 1)] == ["2"]
        async with post.agent(BEN) as ben:
            assert [letter.body for letter in await first(ben.inbox(), 3)] == ["2", "3", "4"]


async def test_taking_gives_what_waits_and_nothing_twice(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN) as ben:
        assert await ben.take() == []
        assert await ben.take(timeout_s=0.05) == []
        await ann.send_many([note(BEN, str(number)) for number in range(3)])
        found = await ben.take(timeout_s=5)
        while len(found) < 3:
            found += await ben.take(timeout_s=5)
        assert [letter.body for letter in found] == ["0", "1", "2"]
        assert await ben.take() == []


async def test_a_cut_loses_and_doubles_nothing(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN) as ben:
        got: list[str] = []

        async def read() -> None:
            async for letter in ben.inbox():
                got.append(letter.body)  # noqa: PERF401 - the list is read while it grows

        reading = asyncio.create_task(read())
        for number in range(200):
            await ann.send(note(BEN, str(number)))
            if number % 40 == 20:
                await post.world.cut(ann.transport)
            if number % 40 == 30:
                await post.world.cut(ben.transport)
        await soon(lambda: len(got) >= 200, within_s=20)
        await asyncio.sleep(1.0)
        assert sorted(got, key=int) == [str(number) for number in range(200)]
        reading.cancel()


async def test_the_same_id_sent_twice_arrives_once(post: Post) -> None:
    async with post.agent(ANN) as ann, post.agent(BEN) as ben:
        for _ in range(2):
            sent = await ann.send(replace(note(BEN), letter_id="same"))
        await got_to(ann, sent.letter_id, LetterState.RECEIVED)
        await ann.send(note(BEN, "last"))
        assert [letter.letter_id == "same" for letter in await first(ben.inbox(), 2)] == [True, False]


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "two\nlines"},
        {"subject": "x" * 201},
        {"body": "x" * (64 * 1024 + 1)},
        {"body": "\ud800"},
        {"thread": "x" * 65},
        {"content_type": "a\r\nb"},
        {"letter_id": "no id"},
    ],
    ids=str,
)
async def test_what_a_receiver_would_refuse_is_not_sent(local: Post, fields: dict[str, str]) -> None:
    async with local.agent(ANN) as ann:
        with pytest.raises(UsageError):
            await ann.send(replace(note(BEN), **fields))


async def test_what_was_sent_goes_out_before_its_sender_leaves(post: Post) -> None:
    async with post.agent(BEN) as ben:
        async with post.agent(ANN) as ann, asyncio.TaskGroup() as group:
            for number in range(600):
                group.create_task(ann.send(note(BEN, str(number))))
        assert len(await first(ben.inbox(), 600)) == 600


async def test_what_a_killed_process_had_stored_is_sent_at_the_next_start(post: Post) -> None:
    stored = replace(note(BEN, "stored"), letter_id="stored", created_at=1.0)
    with post.store(ANN) as store:
        store.outbox.put([stored], next_try_at=9e9, now=1.0)
    async with post.agent(BEN) as ben, post.agent(ANN, timing=PATIENT):
        assert [letter.body for letter in await first(ben.inbox(), 1)] == ["stored"]


async def test_a_letter_is_noted_as_handled_before_a_slow_reader_gets_the_next(local: Post) -> None:
    async with local.agent(ANN) as ann, local.agent(BEN) as ben:
        sent = await ann.send_many([note(BEN, str(number)) for number in range(3)])
        await got_to(ann, sent[-1].letter_id, LetterState.RECEIVED)
        async for letter in ben.inbox():
            handled = [arrived.handled for arrived in ben.store.inbox.recent(BEN, limit=9)]
            assert handled == [number < int(letter.body) for number in range(3)]
            await asyncio.sleep(0.005)
            if letter.body == "2":
                break


async def test_an_own_broadcast_that_a_carrier_gives_back_is_left_out(local: Post) -> None:
    async with local.agent(ANN) as ann, local.agent(BEN) as ben:
        heard: list[Incoming] = []
        await ben.listen([topics.ALL], heard.append)
        ben._router._handlers.insert(0, (topics.ALL, heard.append))
        await ann.broadcast(note(None, "mine"))
        await soon(lambda: heard)
        ann._reader.take(heard[0])
        await ben.send(note(ANN, "last"))
        assert [letter.body for letter in await first(ann.inbox(), 1)] == ["last"]


async def test_while_another_process_writes_letters_wait_and_nothing_is_lost(local: Post) -> None:
    async with local.agent(ANN) as ann, local.agent(BEN) as ben:
        other = sqlite3.connect(ann.store.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        sending = asyncio.create_task(ann.send(note(BEN, "x")))
        started = asyncio.get_running_loop().time()
        assert await ben.take(timeout_s=0.2) == []
        assert asyncio.get_running_loop().time() - started < 1.0
        other.execute("COMMIT")
        other.close()
        await sending
        assert [letter.body for letter in await first(ben.inbox(), 1)] == ["x"]


async def test_old_mail_that_has_ended_is_removed_at_a_start(local: Post) -> None:
    async with local.agent(ANN) as ann, local.agent(BEN) as ben:
        for body in ("old", "older"):
            sent = await ann.send(note(BEN, body))
            await got_to(ann, sent.letter_id, LetterState.RECEIVED)
        assert len(await ben.take()) == 2
    late = Slow()
    late.ahead_s = KEPT_S + 60
    async with local.agent(ANN, clock=late) as ann:
        await ann.lane.do(lambda: None)
        assert ann.store.outbox.recent(ANN, limit=9) == []


async def test_what_goes_wrong_inside_comes_out_as_it_is(local: Post) -> None:
    with pytest.raises(KeyError):
        async with local.agent(ANN):
            raise KeyError
