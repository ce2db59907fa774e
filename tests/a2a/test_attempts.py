"""The Q rules about trying: when a request is tried again, how often, and with what."""

import asyncio
import json

import pytest

from agentorchestr.a2a.card_json import card_json
from agentorchestr.a2a.errors import A2AError, Fault, NoReply
from agentorchestr.a2a.policy import RequestPolicy
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.watcher import CardWatcher
from agentorchestr.errors import UsageError
from agentorchestr.model.carrier import Properties
from agentorchestr.model.mail import AgentCard
from tests.a2a.asking import DONE, asked, asking
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, CAT, error, result, status

pytestmark = pytest.mark.anyio


class Tokens:
    def __init__(self) -> None:
        self.asked: list[bool] = []

    async def token_for(self, agent: object, *, refresh: bool) -> str:
        assert str(agent) == str(BEN)
        self.asked.append(refresh)
        return f"secret-{len(self.asked)}"


async def test_Q12_each_request_carries_a_token_refreshed_before_a_retry(bus: Bus, clock: FakeClock) -> None:
    tokens = Tokens()
    async with asking(bus, clock, tokens=tokens, secure=True) as (requester, _):
        task = asked(requester)
        await clock.advance(100)
        with pytest.raises(NoReply):
            await task
    said = [packet.properties.user_value("a2a-authorization") for packet in bus.published("/request/")]
    assert said == ["Bearer secret-1", "Bearer secret-2", "Bearer secret-3"]
    assert tokens.asked == [False, True, True]


def test_C9_tokens_are_refused_without_tls(bus: Bus) -> None:
    with pytest.raises(UsageError):
        Requester(bus.wire("x"), ANN, tokens=Tokens())


async def test_Q13_three_attempts_of_15_s_with_growing_pauses(bus: Bus, clock: FakeClock) -> None:
    at: list[float] = []
    bus.lose = lambda _: bool(at.append(clock.monotonic())) or True
    async with asking(bus, clock) as (requester, _):
        task = asked(requester)
        began = clock.monotonic()
        await clock.advance(100)
        with pytest.raises(NoReply):
            await task
    gaps = [later - earlier for earlier, later in zip([began, *at], at, strict=False)]
    assert gaps[0] == 0
    assert 15.8 <= gaps[1] <= 16.2
    assert 16.6 <= gaps[2] <= 17.4
    assert len(at) == 3


async def test_Q13_the_limits_are_configurable(bus: Bus, clock: FakeClock) -> None:
    policy = RequestPolicy(first_reply_s=1, attempts=2, backoff_s=(0.5,))
    async with asking(bus, clock, policy=policy) as (requester, _):
        task = asked(requester)
        await clock.advance(3)
        with pytest.raises(NoReply):
            await task
    assert len(bus.published("/request/")) == 2


def test_Q13_the_pauses_are_1_2_and_4_s_with_a_fifth_of_jitter() -> None:
    import random

    policy, dice = RequestPolicy(), random.Random(1)  # noqa: S311 - spreads, hides nothing
    for retry, base in enumerate((1.0, 2.0, 4.0, 4.0)):
        pauses = {policy.backoff(retry, dice) for _ in range(50)}
        assert len(pauses) > 10
        assert all(base * 0.8 <= pause <= base * 1.2 for pause in pauses)


async def test_Q14_each_attempt_has_new_correlation_and_the_same_message(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, _):
        task = asked(requester)
        await clock.advance(100)
        with pytest.raises(NoReply):
            await task
    requests = bus.published("/request/")
    assert len({packet.properties.correlation for packet in requests}) == 3
    assert len({packet.payload for packet in requests}) == 1


async def test_Q15_a_late_reply_to_an_earlier_attempt_counts(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.advance(17)
        first, _second = ben.taken()
        await ben.answer(first, result(status(DONE)))
        assert (await task).state is TaskState.COMPLETED
        await clock.advance(100)
    assert len(bus.published("/request/")) == 2


async def test_Q15_a_late_reply_between_two_attempts_counts(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.advance(15.1)
        await ben.answer(ben.taken()[0], result(status(DONE)))
        assert (await task).state is TaskState.COMPLETED
    assert len(bus.published("/request/")) == 1


async def test_Q15_an_error_is_an_answer_and_ends_the_attempts(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        await ben.answer(ben.taken()[0], error(-32602))
        with pytest.raises(A2AError) as raised:
            await task
        await clock.advance(100)
    assert raised.value.fault is Fault.INVALID_PARAMS
    assert len(bus.published("/request/")) == 1


async def test_Q16_a_refused_publish_is_tried_again(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        bus.refuse = lambda _: len(bus.published("/request/")) == 1
        task = asked(requester)
        await clock.advance(1.5)
        await ben.answer(ben.taken()[0], result(status(DONE)))
        assert (await task).state is TaskState.COMPLETED
    assert len(bus.published("/request/")) == 2


async def test_Q16_a_connection_that_is_gone_is_tried_again(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        wire = next(wire for wire in bus.wires if wire.client_id == str(ANN))
        wire.cut()
        task = asked(requester)
        await clock.settle()
        wire.back()
        await clock.advance(1.5)
        await ben.answer(ben.taken()[0], result(status(DONE)))
        assert (await task).state is TaskState.COMPLETED


async def test_Q19_transport_errors_say_whether_they_may_be_retried(bus: Bus, clock: FakeClock) -> None:
    words = {-32003: "request_expired", -32004: "responder_unavailable", -32005: "transport_protocol_error"}
    async with asking(bus, clock) as (requester, ben):
        for code, word in words.items():
            for data, eligible in (({"a2a_error": word}, code != -32005), ([{"@type": "x"}], False)):
                task = asked(requester)
                await clock.settle()
                await ben.answer(ben.taken()[0], error(code, data))
                with pytest.raises(A2AError) as raised:
                    await task
                assert raised.value.retry_eligible is eligible


async def test_Q19_by_policy_a_retry_eligible_error_is_tried_again(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock, policy=RequestPolicy(retry_transport_errors=True)) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        await ben.answer(ben.taken()[0], error(-32004, {"a2a_error": "responder_unavailable"}))
        await clock.advance(1.5)
        await ben.answer(ben.taken()[0], result(status(DONE)))
        assert (await task).state is TaskState.COMPLETED
        task = asked(requester)
        await clock.settle()
        await ben.answer(ben.taken()[0], error(-32005, {"a2a_error": "transport_protocol_error"}))
        with pytest.raises(A2AError):
            await task


async def test_C12_an_expiry_is_longer_than_the_wait_for_the_reply(bus: Bus, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="expire"):
        RequestPolicy(expiry_s=15)
    async with asking(bus, clock, policy=RequestPolicy(expiry_s=60)) as (requester, _):
        task = asked(requester)
        await clock.settle()
        task.cancel()
    assert bus.published("/request/")[0].properties.expiry_s == 60


async def test_S6_a_status_replaces_no_time_limit(bus: Bus, clock: FakeClock) -> None:
    online = Properties(user=(("a2a-status", "online"), ("a2a-status-source", "broker")))
    card = card_json(AgentCard(CAT), broker_url="mqtt://h")
    async with bus.wire("b") as broker, bus.wire("w") as other:
        await broker.publish(
            f"$a2a/v1/discovery/{CAT}", json.dumps(card).encode(), properties=online, retain=True
        )
        async with CardWatcher(other, "acme", clock=clock) as watcher, asking(bus, clock) as (requester, _):
            await clock.settle()
            assert [seen.offline for seen in watcher.cards()] == [False]
            task = asyncio.ensure_future(requester.ask(CAT, new_message("x")))
            await clock.advance(100)
            with pytest.raises(NoReply):
                await task
