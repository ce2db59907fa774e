"""Tasks from hand to hand: who gets one, what counts as its end, and that it always has one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Address, DelegatedState, DelegatedTask, LetterKind
from agentorchestr.swarm.assignments import Assignments
from agentorchestr.swarm.delegation import Delegation
from agentorchestr.swarm.directory import Directory
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.picking import Patience
from agentorchestr.swarm.task_wire import Update, Word, cancel_letter, task_letter
from tests.swarm.conftest import Post, soon
from tests.swarm.transport_contract import ANN, BEN, CAT

pytestmark = pytest.mark.anyio

DAN = Address("agentorchestr", "local", "dan")
SHORT = Patience(accept_s=0.5, lease_s=0.6, gone_s=0.4, losses=3)


@dataclass
class Requester:
    exchange: Exchange
    directory: Directory
    tasks: Delegation
    told: list[DelegatedTask]

    async def ended(self, task: DelegatedTask) -> DelegatedTask:
        found = await self.tasks.wait(task.task_id, timeout_s=15)
        assert found is not None
        assert found.state.final, found
        return found

    async def refused(self, task: DelegatedTask) -> list[str]:
        return [said.why for said in await self.tasks.book.history(task.task_id) if not said.accepted]


@asynccontextmanager
async def requester(
    post: Post, me: Address = ANN, *, patience: Patience | None = None
) -> AsyncIterator[Requester]:
    parts: list[Requester] = []

    def prepare(exchange: Exchange) -> None:
        directory = Directory(exchange)
        parts.append(Requester(exchange, directory, Delegation(exchange, directory, patience=patience), []))

    async with post.agent(me, prepare=prepare):
        [made] = parts
        assert await made.directory.complete()
        made.tasks.follow(made.told.append)
        async with made.tasks:
            yield made


@asynccontextmanager
async def assignee(
    post: Post, me: Address, *skills: str, slots: int = 1, beat_s: float = 30.0, will: bool = False
) -> AsyncIterator[tuple[Exchange, Assignments]]:
    parts: list[Assignments] = []

    def prepare(exchange: Exchange) -> None:
        parts.append(Assignments(exchange, slots=slots, beat_s=beat_s))

    agent = post.agent(me, skills=skills, slots=slots, prepare=prepare, will=will)
    async with agent as exchange, parts[0] as side:
        yield exchange, side


def task_gone() -> DelegatedTask:
    raise AssertionError("the task is gone")


async def next_task(side: Assignments) -> DelegatedTask:
    async with asyncio.timeout(10):
        async for task in side.tasks():
            return task
    raise AssertionError("the tasks ended")


async def seen(asker: Requester, *who: Address) -> None:
    await soon(lambda: all((card := asker.directory.find(one)) and card.online for one in who))


async def test_a_task_is_done_and_its_result_comes_back(post: Post) -> None:
    async with requester(post) as ann, assignee(post, BEN, "review") as (_, ben):
        await seen(ann, BEN)
        task = await ann.tasks.delegate("größe?", capability="review")
        assert task.state is DelegatedState.PENDING
        got = await next_task(ben)
        assert (got.text, got.requester, got.attempt, got.state) == (
            "größe?",
            ANN,
            1,
            DelegatedState.IN_PROGRESS,
        )
        await soon(lambda: ann.told and ann.told[-1].state is DelegatedState.IN_PROGRESS)
        assert await ben.complete(task.task_id, "groß")
        done = await ann.ended(task)
        assert (done.state, done.result, done.assignee) == (DelegatedState.COMPLETED, "groß", BEN)
        assert not await ben.complete(task.task_id, "again")


async def test_a_failure_is_told_with_its_reason(post: Post) -> None:
    async with requester(post) as ann, assignee(post, BEN) as (_, ben):
        task = await ann.tasks.delegate("x", to=BEN)
        await next_task(ben)
        await ben.fail(task.task_id, "no idea")
        done = await ann.ended(task)
        assert (done.state, done.why) == (DelegatedState.FAILED, "no idea")


async def test_the_capable_agent_with_most_room_gets_it(local: Post) -> None:
    async with (
        requester(local) as ann,
        assignee(local, BEN, "review", slots=1) as (_, ben),
        assignee(local, CAT, "review", slots=3) as (_, _cat),
        assignee(local, DAN, "test", slots=9) as (_, _dan),
    ):
        await seen(ann, BEN, CAT, DAN)
        tasks = [await ann.tasks.delegate(str(n), capability="review") for n in range(4)]
        await soon(lambda: {task.task_id for task in ann.told} == {task.task_id for task in tasks})
        got = [(await ann.tasks.task(task.task_id) or task).assignee for task in tasks]
        assert sorted(map(str, got)) == sorted(map(str, [CAT, CAT, CAT, BEN]))
        # Both are full: the next waits for whoever is free first.
        waits = await ann.tasks.delegate("5", capability="review")
        mine = await next_task(ben)
        await asyncio.sleep(0.3)
        assert (await ann.tasks.task(waits.task_id) or task_gone()).assignee is None
        await ben.complete(mine.task_id, "")
        assert (await next_task(ben)).task_id == waits.task_id


async def test_a_task_waits_for_somebody_capable(post: Post) -> None:
    async with requester(post) as ann:
        task = await ann.tasks.delegate("x", capability="review")
        async with assignee(post, BEN, "review") as (_, ben):
            assert (await next_task(ben)).task_id == task.task_id


async def test_time_to_live_of_one_second_fires_in_time(post: Post) -> None:
    async with requester(post) as ann, assignee(post, BEN) as (_, ben):
        ended: list[DelegatedTask] = []
        ben.follow(ended.append)
        started = asyncio.get_running_loop().time()
        unheard = await ann.tasks.delegate("x", capability="nobody-can", ttl_s=1.0)
        worked = await ann.tasks.delegate("y", to=BEN, ttl_s=1.0)
        await next_task(ben)
        for task in (unheard, worked):
            done = await ann.ended(task)
            assert (done.state, "time to live" in done.why) == (DelegatedState.TIMEOUT, True)
        assert asyncio.get_running_loop().time() - started < 1.5
        await soon(lambda: ended)
        assert not ben.is_open(worked.task_id)


async def test_an_assignee_stops_in_time_without_its_requester(local: Post) -> None:
    async with assignee(local, BEN) as (_, ben):
        ended: list[DelegatedTask] = []
        ben.follow(ended.append)
        async with requester(local) as ann:
            await ann.tasks.delegate("x", to=BEN, ttl_s=1.0)
            await next_task(ben)
        await soon(lambda: ended)
        assert ended[0].state is DelegatedState.TIMEOUT


async def test_a_result_after_the_end_is_recorded_and_refused(post: Post) -> None:
    async with requester(post) as ann, assignee(post, BEN) as (exchange, ben):
        task = await ann.tasks.delegate("x", to=BEN, ttl_s=0.5)
        got = await next_task(ben)
        assert (await ann.ended(task)).state is DelegatedState.TIMEOUT
        await say(exchange, got, Word.COMPLETED)
        await soon(lambda: has_refused(ann, task, "it had ended: timeout"))
        assert (await ann.tasks.task(task.task_id) or task).state is DelegatedState.TIMEOUT


async def say(exchange: Exchange, task: DelegatedTask, word: Word, *, attempt: int = 0) -> None:
    update = Update(task_id=task.task_id, attempt=attempt or task.attempt, said=word, result="forged")
    await exchange.send(
        task_letter(exchange.me, task.requester, LetterKind.TASK_UPDATE, update, expires_at=0.0)
    )


async def has_refused(asker: Requester, task: DelegatedTask, why: str) -> bool:
    return any(why in said for said in await asker.refused(task))


async def test_a_forged_result_is_recorded_and_refused(post: Post) -> None:
    async with requester(post) as ann, assignee(post, BEN) as (_, ben), post.agent(CAT) as cat:
        task = await ann.tasks.delegate("x", to=BEN)
        got = await next_task(ben)
        for word in Word:
            await say(cat, got, word)
        await soon(lambda: has_refused(ann, task, f"its assignee is {BEN}"))
        await ben.complete(task.task_id, "true")
        assert (await ann.ended(task)).result == "true"
        assert len(await ann.refused(task)) == len(Word)


async def test_a_result_of_an_older_or_newer_attempt_is_refused(post: Post) -> None:
    async with requester(post, patience=SHORT) as ann, assignee(post, BEN) as (exchange, ben):
        task = await ann.tasks.delegate("x", to=BEN)
        got = await next_task(ben)
        await soon(lambda: any(task.attempt == 2 for task in ann.told))
        await say(exchange, got, Word.COMPLETED, attempt=1)
        await say(exchange, got, Word.COMPLETED, attempt=99)
        await soon(lambda: has_refused(ann, task, "attempt 1 is not attempt"))
        await soon(lambda: has_refused(ann, task, "attempt 99 is not attempt"))


async def test_a_rejected_task_goes_to_the_next(post: Post) -> None:
    async with (
        requester(post) as ann,
        assignee(post, BEN, "review", slots=5) as (_, ben),
        assignee(post, CAT, "review") as (_, cat),
    ):
        await seen(ann, BEN, CAT)
        task = await ann.tasks.delegate("x", capability="review")
        await next_task(ben)
        await ben.reject(task.task_id, "not mine")
        again = await next_task(cat)
        assert (again.task_id, again.attempt) == (task.task_id, 2)
        assert any(told.why == "not mine" and told.assignee is None for told in ann.told)
        await cat.complete(task.task_id, "done")
        assert (await ann.ended(task)).assignee == CAT


async def test_with_all_slots_taken_the_next_agent_gets_it(local: Post) -> None:
    async with (
        requester(local) as ann,
        requester(local, DAN) as dan,
        assignee(local, BEN, "review") as (_, ben),
    ):
        await seen(ann, BEN)
        await seen(dan, BEN)
        first_one = await ann.tasks.delegate("1", to=BEN)
        await next_task(ben)
        second = await dan.tasks.delegate("2", to=BEN)
        done = await dan.ended(second)
        assert (done.state, done.why) == (DelegatedState.FAILED, "no free slot")
        await ben.complete(first_one.task_id, "")
        assert (await ann.ended(first_one)).state is DelegatedState.COMPLETED


async def test_a_dead_assignee_is_replaced_and_the_requester_told(post: Post) -> None:
    async with (
        requester(post, patience=replace(SHORT, accept_s=60, lease_s=60)) as ann,
        assignee(post, CAT, "review") as (_, cat),
        assignee(post, BEN, "review", slots=5, will=True) as (exchange, ben),
    ):
        await seen(ann, BEN, CAT)
        task = await ann.tasks.delegate("x", capability="review")
        await next_task(ben)
        await post.world.kill(exchange.transport)
        assert (await next_task(cat)).attempt == 2
        assert f"{BEN} left" in [told.why for told in ann.told]
        await cat.complete(task.task_id, "by cat")
        assert (await ann.ended(task)).result == "by cat"


async def test_with_nobody_else_a_lost_task_fails_in_the_end(post: Post) -> None:
    async with requester(post, patience=SHORT) as ann, assignee(post, BEN, "review") as (_, ben):
        await seen(ann, BEN)
        task = await ann.tasks.delegate("x", capability="review")
        await next_task(ben)
        done = await ann.ended(task)
        assert (done.state, "3 agents lost it" in done.why) == (DelegatedState.FAILED, True)


async def test_heartbeats_keep_a_slow_task_with_its_assignee(post: Post) -> None:
    async with requester(post, patience=SHORT) as ann, assignee(post, BEN, "review", beat_s=0.15) as (_, ben):
        await seen(ann, BEN)
        task = await ann.tasks.delegate("x", capability="review")
        await next_task(ben)
        assert (await ann.tasks.wait(task.task_id, timeout_s=2.0) or task).state is DelegatedState.IN_PROGRESS
        await ben.complete(task.task_id, "slow")
        done = await ann.ended(task)
        assert (done.result, done.attempt) == ("slow", 1)


async def test_a_cancelled_task_is_taken_back(post: Post) -> None:
    async with requester(post) as ann, assignee(post, BEN) as (_, ben):
        ended: list[DelegatedTask] = []
        ben.follow(ended.append)
        task = await ann.tasks.delegate("x", to=BEN)
        await next_task(ben)
        assert await ann.tasks.cancel(task.task_id, why="changed my mind")
        await soon(lambda: ended)
        assert (ended[0].state, ended[0].why) == (DelegatedState.FAILED, "changed my mind")
        assert not await ben.complete(task.task_id, "late")
        assert not await ann.tasks.cancel(task.task_id)


async def test_only_its_requester_cancels_a_task(post: Post) -> None:
    async with requester(post) as ann, requester(post, CAT) as cat, assignee(post, BEN) as (_, ben):
        task = await ann.tasks.delegate("x", to=BEN)
        got = await next_task(ben)
        letter = cancel_letter(CAT, replace(got, attempt=9), BEN, "forged", now=cat.exchange.clock.now())
        sent = await cat.exchange.send(letter)
        await soon(lambda: is_handled(cat.exchange, sent.letter_id))
        reused = replace(got, requester=CAT, attempt=9, text="mine now")
        from agentorchestr.swarm.task_wire import offer_of

        offer = task_letter(CAT, BEN, LetterKind.TASK, offer_of(reused), expires_at=0.0)
        sent = await cat.exchange.send(offer)
        await soon(lambda: is_handled(cat.exchange, sent.letter_id))
        assert ben.is_open(task.task_id)
        await ben.complete(task.task_id, "kept")
        assert (await ann.ended(task)).result == "kept"


async def is_handled(exchange: Exchange, letter_id: str) -> bool:
    from agentorchestr.model.mail import LetterState

    standing = await exchange.state_of(letter_id)
    return standing is not None and standing.state is LetterState.RECEIVED


async def test_a_task_survives_a_restart_of_its_requester(post: Post) -> None:
    async with assignee(post, BEN, "review") as (_, ben):
        async with requester(post) as ann:
            await seen(ann, BEN)
            task = await ann.tasks.delegate("x", capability="review")
            overdue = await ann.tasks.delegate("y", capability="nobody-can", ttl_s=0.3)
            await next_task(ben)
        await ben.complete(task.task_id, "while you were away")
        async with requester(post) as ann:
            assert (await ann.ended(task)).result == "while you were away"
            assert (await ann.ended(overdue)).state is DelegatedState.TIMEOUT


async def test_a_task_survives_a_restart_of_its_assignee(post: Post) -> None:
    async with requester(post) as ann:
        async with assignee(post, BEN, "review") as (_, ben):
            await seen(ann, BEN)
            task = await ann.tasks.delegate("x", capability="review")
            await next_task(ben)
        async with assignee(post, BEN, "review") as (_, ben):
            again = await next_task(ben)
            assert (again.task_id, again.attempt) == (task.task_id, 1)
            await ben.complete(task.task_id, "second life")
            done = await ann.ended(task)
            assert (done.result, done.attempt) == ("second life", 1)


async def test_the_same_task_offered_again_is_worked_on_once(local: Post) -> None:
    async with requester(local, patience=SHORT) as ann, assignee(local, BEN, slots=2) as (_, ben):
        task = await ann.tasks.delegate("x", to=BEN)
        await next_task(ben)
        await soon(lambda: any(told.attempt == 2 for told in ann.told))
        again = await next_task(ben)
        assert (again.task_id, again.attempt) == (task.task_id, 2)


@pytest.mark.parametrize(
    "fields", [{}, {"capability": "x", "to": BEN}, {"to": BEN, "text": "x" * 70_000}], ids=str
)
async def test_a_task_that_cannot_be_given_is_refused(local: Post, fields: dict[str, object]) -> None:
    async with requester(local) as ann:
        with pytest.raises(UsageError):
            await ann.tasks.delegate(**{"text": "x", **fields})  # type: ignore[arg-type]
        assert await ann.tasks.book.recent(limit=9) == []
