"""The P rules: one topic, several agents, one of them takes each request."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.pool import PoolDispatcher, chosen, member_filters
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.topics import PROFILE_TOPICS, Pool
from agentorchestr.model.carrier import Properties
from agentorchestr.model.mail import Address
from tests.a2a.agents import Echo, Puppet
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, CONTEXT, TASK, Raw, read, result, send, status

pytestmark = pytest.mark.anyio
POOL = Pool("acme", "lab", "coders")
MEMBERS = [Address("acme", "lab", name) for name in ("m1", "m2", "m3")]
POOL_TOPIC = "$a2a/v1/request/acme/lab/pool/coders"
DISPATCHER = Address("acme", "lab", "pool")
NATIVE = [True, False]


class Team:
    """Three members, by shared subscription or behind a dispatcher, and somebody who asks."""

    def __init__(self, bus: Bus, clock: FakeClock, *, shared: bool) -> None:
        self.bus, self.clock, self.shared = bus, clock, shared
        self.here = set(MEMBERS)
        self.members = {address: AsyncExitStack() for address in MEMBERS}
        self.echoes = {address: Echo(address.agent) for address in MEMBERS}

    async def join(self, address: Address) -> None:
        stack = self.members[address]
        wire = await stack.enter_async_context(self.bus.wire(str(address)))
        filters = member_filters([POOL], shared=self.shared)
        responder = Responder(wire, address, self.echoes[address], clock=self.clock, more_filters=filters)
        await stack.enter_async_context(responder)

    async def leave(self, address: Address) -> None:
        self.here.discard(address)
        await self.members[address].aclose()

    def worked(self) -> Counter[str]:
        return Counter({address.agent: len(echo.started) for address, echo in self.echoes.items()})


@asynccontextmanager
async def team(bus: Bus, clock: FakeClock, *, shared: bool) -> AsyncIterator[tuple[Team, Requester]]:
    async with AsyncExitStack() as stack:
        made = Team(bus, clock, shared=shared)
        for address in MEMBERS:
            await made.join(address)
            stack.push_async_callback(made.members[address].aclose)
        if not shared:
            wire = await stack.enter_async_context(bus.wire(str(DISPATCHER)))
            await stack.enter_async_context(PoolDispatcher(wire, DISPATCHER, POOL, lambda: sorted(made.here)))
        wire = await stack.enter_async_context(bus.wire(str(ANN)))
        requester = await stack.enter_async_context(Requester(wire, ANN, clock=clock))
        yield made, requester


def messages(count: int) -> list[Any]:
    dice = random.Random(7)  # noqa: S311 - the same choice in each run
    return [
        new_message(str(number), task_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)))
        for number in range(count)
    ]


@pytest.mark.parametrize("shared", NATIVE)
async def test_P_thirty_requests_are_shared_and_each_is_served_once(
    bus: Bus, clock: FakeClock, *, shared: bool
) -> None:
    async with team(bus, clock, shared=shared) as (made, requester):
        tasks = await asyncio.gather(*(requester.ask(POOL, message) for message in messages(30)))
        assert all(task.state is TaskState.COMPLETED for task in tasks)
        assert sum(made.worked().values()) == 30
        assert min(made.worked().values()) >= 1


@pytest.mark.parametrize("shared", NATIVE)
async def test_P_a_member_that_left_is_not_missed(bus: Bus, clock: FakeClock, *, shared: bool) -> None:
    async with team(bus, clock, shared=shared) as (made, requester):
        await made.leave(MEMBERS[0])
        tasks = await asyncio.gather(*(requester.ask(POOL, message) for message in messages(10)))
        assert all(task.state is TaskState.COMPLETED for task in tasks)
        assert made.worked()["m1"] == 0


@pytest.mark.parametrize("shared", NATIVE)
async def test_P2_P6_requests_go_to_the_pool_and_replies_name_the_member(
    bus: Bus, clock: FakeClock, *, shared: bool
) -> None:
    async with team(bus, clock, shared=shared) as (_, requester):
        await requester.ask(POOL, new_message("x"))
    sent = [packet.topic for packet in bus.published(sender=str(ANN))]
    assert sent == [POOL_TOPIC]
    replies = bus.published("/reply/")
    names = {packet.properties.user_value("a2a-responder-agent-id") for packet in replies}
    assert len(names) == 1
    assert names < {"m1", "m2", "m3"}


async def test_P6_P7_Q23_a_pooled_reply_without_its_sender_is_passed_over(bus: Bus, clock: FakeClock) -> None:
    async with bus.wire(str(ANN)) as wire, Raw(bus, MEMBERS[0]) as raw:
        await raw.listen(POOL_TOPIC)
        async with Requester(wire, ANN, clock=clock) as requester:
            message = new_message("x", task_id=TASK, context_id=CONTEXT)
            task = asyncio.ensure_future(requester.ask(POOL, message))
            await clock.settle()
            (request,) = raw.taken()
            done = result(status("TASK_STATE_COMPLETED"))
            await raw.answer(request, done)
            await clock.settle()
            assert not task.done()
            await raw.answer(request, done, (("a2a-responder-agent-id", "m1"),))
            assert (await task).state is TaskState.COMPLETED


async def test_P8_P9_P10_retries_and_follow_ups_go_to_whoever_answered(bus: Bus, clock: FakeClock) -> None:
    async with bus.wire(str(ANN)) as wire, Raw(bus, MEMBERS[1]) as raw:
        await raw.listen(POOL_TOPIC, f"$a2a/v1/request/{MEMBERS[1]}")
        async with Requester(wire, ANN, clock=clock) as requester:
            message = new_message("x", task_id=TASK, context_id=CONTEXT)
            task = asyncio.ensure_future(requester.ask(POOL, message))
            await clock.advance(17)
            assert [packet.topic for packet in raw.taken()] == [POOL_TOPIC] * 2
            first = bus.published("/request/")[0]
            user = (("a2a-responder-agent-id", "m2"),)
            await raw.answer(first, result(status("TASK_STATE_INPUT_REQUIRED")), user)
            await task
            for call in (
                requester.get_task(POOL, TASK),
                requester.cancel_task(POOL, TASK),
                requester.ask(POOL, new_message("more", task_id=TASK, context_id=CONTEXT)),
            ):
                asked = asyncio.ensure_future(call)
                await clock.settle()
                (packet,) = raw.taken()
                assert packet.topic == f"$a2a/v1/request/{MEMBERS[1]}"
                asked.cancel()


async def test_a_task_stays_with_the_member_that_got_it(bus: Bus, clock: FakeClock) -> None:
    async with team(bus, clock, shared=False) as (made, _), Raw(bus, ANN) as ann:
        await ann.listen()
        best = chosen(TASK, MEMBERS)
        for number, here in enumerate((set(MEMBERS) - {best}, set(MEMBERS), {best})):
            made.here = here
            fields = {"response_topic": ann.reply_topic, "correlation": b"c%d" % number}
            await ann.wire.publish(POOL_TOPIC, send(), properties=Properties(**fields))
            await clock.settle()
        assert sum(made.worked().values()) == 1
        assert best is not None
        assert made.worked()[best.agent] == 0


async def test_a_pool_without_members_says_so_at_once(bus: Bus, clock: FakeClock) -> None:
    async with team(bus, clock, shared=False) as (made, requester):
        made.here.clear()
        with pytest.raises(A2AError) as raised:
            await requester.ask(POOL, new_message("x", task_id=TASK))
        assert raised.value.fault is Fault.RESPONDER_UNAVAILABLE
        # The dispatcher's own name is not remembered as the one who has the task.
        assert requester.receiver(POOL, TASK) == POOL


async def test_what_no_member_can_read_is_passed_on_to_be_refused(bus: Bus, clock: FakeClock) -> None:
    async with team(bus, clock, shared=False), Raw(bus, ANN) as ann:
        await ann.listen()
        fields = {"response_topic": ann.reply_topic, "correlation": b"\xff"}
        await ann.wire.publish(POOL_TOPIC, b"{", properties=Properties(**fields))
        await clock.settle()
        (packet,) = ann.taken()
    assert read(packet)["error"]["code"] == -32700
    assert packet.properties.correlation == b"\xff"


async def test_a_member_nobody_reaches_is_not_kept_for_the_task(bus: Bus, clock: FakeClock) -> None:
    ghost = Address("acme", "lab", "ghost")
    here = [ghost]
    puppet = Puppet()
    async with bus.wire(str(DISPATCHER)) as wire, bus.wire(str(MEMBERS[0])) as member, Raw(bus, ANN) as ann:
        await ann.listen()
        async with (
            PoolDispatcher(wire, DISPATCHER, POOL, lambda: here),
            Responder(member, MEMBERS[0], puppet, clock=clock),
        ):
            for number in range(2):
                fields = {"response_topic": ann.reply_topic, "correlation": b"c%d" % number}
                await ann.wire.publish(POOL_TOPIC, send(), properties=Properties(**fields))
                await clock.settle()
                here[:] = [MEMBERS[0]]
            assert len(puppet.started) == 1


def test_the_choice_depends_on_task_and_members_only() -> None:
    ids = [message.task_id for message in messages(90)]
    first = [chosen(task_id, MEMBERS) for task_id in ids]
    assert first == [chosen(task_id, reversed(MEMBERS)) for task_id in ids]
    assert min(Counter(first).values()) > 15
    assert chosen(TASK, []) is None


async def test_a_broker_that_never_delivers_to_shares_is_why_there_is_a_dispatcher(
    bus: Bus, clock: FakeClock
) -> None:
    bus.shares_dollar = False
    async with bus.wire("m") as wire:
        await wire.subscribe(member_filters([POOL], shared=True))
        await wire.publish(PROFILE_TOPICS.request(POOL), b"x")
        assert wire.incoming.empty()
    async with team(bus, clock, shared=False) as (_, requester):
        assert (await requester.ask(POOL, new_message("x"))).state is TaskState.COMPLETED
