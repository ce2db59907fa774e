"""The Q rules: how requests are made and what counts as their answer. The opposite side is a raw client."""

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import replace

import pytest

from agentorchestr.a2a.errors import NoReply
from agentorchestr.a2a.handler import artifact, completed, working
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.store import UUID4
from agentorchestr.a2a.tasks import StatusUpdate, Task, Update
from tests.a2a.agents import Puppet
from tests.a2a.asking import DONE, WORKING, asked, asking, collect, task_json
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, CONTEXT, TASK, error, read, result, status

pytestmark = pytest.mark.anyio


async def test_Q1_the_reply_topic_is_subscribed_before_the_first_request(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        request = bus.published("/request/")[0]
        topic = request.properties.response_topic
        kinds = [(kind, what) for kind, who, what in bus.record if who == str(ANN)]
        assert kinds[0] == ("subscribe", f"$a2a/v1/reply/{ANN}/+")
        assert topic.startswith(f"$a2a/v1/reply/{ANN}/")
        await ben.answer(ben.taken()[0], result(status(DONE)))
        assert (await task).state is TaskState.COMPLETED


async def test_Q2_reply_topics_end_in_many_random_bits(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (one, _), asking(bus, clock) as (other, _):
        tasks = [asked(one), asked(other)]
        await clock.settle()
        topics = {packet.properties.response_topic for packet in bus.published("/request/")}
        for task in tasks:
            task.cancel()
    assert len(topics) == 2
    assert all(re.fullmatch(rf"\$a2a/v1/reply/{ANN}/[0-9a-f]{{24,}}", topic) for topic in topics)


async def test_Q3_requests_go_to_the_request_topic_of_the_agent(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, _):
        task = asked(requester)
        await clock.settle()
        task.cancel()
    assert [packet.topic for packet in bus.published()] == [f"$a2a/v1/request/{BEN}"]


async def test_Q4_response_topic_and_correlation_on_every_request(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, _):
        calls = [
            asyncio.ensure_future(call)
            for call in (
                requester.get_task(BEN, TASK),
                requester.cancel_task(BEN, TASK),
                requester.list_tasks(BEN),
                requester.ask(BEN, new_message("x")),
            )
        ]
        await clock.advance(60)
        for call in calls:
            with suppress(NoReply):
                await call
    methods = {read(packet)["method"] for packet in bus.published("/request/")}
    assert methods == {"GetTask", "CancelTask", "ListTasks", "SendStreamingMessage"}
    for packet in bus.published("/request/"):
        assert packet.properties.response_topic
        assert packet.properties.correlation


async def test_Q5_a_thousand_requests_at_once_are_told_apart(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        messages = [new_message(str(number)) for number in range(1000)]
        asks = [asyncio.ensure_future(requester.ask(BEN, message)) for message in messages]
        await clock.settle()
        requests = ben.taken()
        assert len({packet.properties.correlation for packet in requests}) == 1000
        for packet in reversed(requests):
            said = read(packet)["params"]["message"]
            done = {"id": said["taskId"], "status": {"state": DONE}, "contextId": said["parts"][0]["text"]}
            await ben.answer(packet, result({"task": done}))
        answers = await asyncio.gather(*asks)
    assert [task.context_id for task in answers] == [str(number) for number in range(1000)]
    assert [task.id for task in answers] == [message.task_id for message in messages]


async def test_Q6_correlation_is_not_the_task_id(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, _):
        task = asked(requester)
        await clock.settle()
        task.cancel()
    assert TASK.encode() not in bus.published("/request/")[0].properties.correlation


async def test_Q7_a_new_task_has_a_uuid4_of_ours(bus: Bus, clock: FakeClock) -> None:
    message = new_message("x")
    assert UUID4.fullmatch(message.task_id)
    assert new_message("x").task_id != message.task_id
    async with asking(bus, clock) as (requester, _):
        for bad in ("", "abc", "6fa459ea-ee8a-11ec-8ea0-0242ac120002"):
            with pytest.raises(ValueError, match="UUIDv4"):
                await requester.ask(BEN, replace(message, task_id=bad))
    assert not bus.published("/request/")


async def test_Q8_the_same_id_looks_after_the_task(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        await ben.answer(ben.taken()[0], result(status(DONE)))
        await task
        for method in (requester.get_task, requester.cancel_task):
            call = asyncio.ensure_future(method(BEN, TASK))
            await clock.settle()
            (packet,) = ben.taken()
            assert read(packet)["params"] == {"id": TASK}
            await ben.answer(packet, result(task_json(DONE)))
            assert (await call).id == TASK
        items = requester.subscribe_task(BEN, TASK)
        call = asyncio.ensure_future(anext(items))
        await clock.settle()
        (packet,) = ben.taken()
        assert read(packet)["method"] == "SubscribeToTask"
        assert read(packet)["params"] == {"id": TASK}
        await ben.answer(packet, result({"task": task_json(DONE)}))
        await call
        await items.aclose()


def test_Q9_a_new_conversation_has_a_uuid4_and_keeps_it() -> None:
    first = new_message("x")
    second = new_message("y", context_id=first.context_id)
    assert UUID4.fullmatch(first.context_id)
    assert second.context_id == first.context_id
    assert second.task_id != first.task_id


async def test_Q11_only_a_correlated_valid_reply_counts(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        (request,) = ben.taken()
        good = result(status(DONE))
        await ben.answer(request, good, correlation=b"unknown")
        await ben.answer(request, good, correlation=b"")
        await ben.answer(request, b"")
        await ben.answer(request, b"\xff\xfe not json")
        await ben.answer(request, b"[1]")
        await ben.answer(request, result({"surprise": 1}))
        await ben.answer(request, result(status(DONE, task_id="another")))
        await ben.answer(request, json.dumps({"jsonrpc": "2.0", "id": 1}).encode())
        await ben.answer(request, json.dumps({"jsonrpc": "1.0", "id": 1, "result": status(DONE)}).encode())
        await ben.answer(request, json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"message": "x"}}).encode())
        await clock.settle()
        assert not task.done()
        await ben.answer(request, good)
        assert (await task).state is TaskState.COMPLETED


async def test_Q17_Q18_a_silent_stream_is_looked_up_and_not_repeated(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        seen: list[Update] = []
        stream = asyncio.ensure_future(collect(requester, seen))
        await clock.settle()
        await ben.answer(ben.taken()[0], result(status(WORKING)))
        await clock.advance(29)
        assert not ben.taken()
        await clock.advance(2)
        (probe,) = ben.taken()
        assert read(probe)["method"] == "GetTask"
        assert read(probe)["params"] == {"id": TASK}
        await ben.answer(probe, result(task_json(WORKING)))
        await clock.advance(31)
        (again,) = ben.taken()
        await ben.answer(again, result(task_json(DONE)))
        await stream
    assert [update.status.state for update in seen if isinstance(update, Task | StatusUpdate)][-1] == DONE
    sent = [read(packet)["method"] for packet in bus.published("/request/")]
    assert sent == ["SendStreamingMessage", "GetTask", "GetTask"]


ENDS = ["COMPLETED", "FAILED", "CANCELED", "REJECTED"]
ASKS = ["INPUT_REQUIRED", "AUTH_REQUIRED"]


@pytest.mark.parametrize("state", [*ENDS, *ASKS])
async def test_Q20_Q21_the_stream_ends_for_that_correlation(bus: Bus, clock: FakeClock, state: str) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        (request,) = ben.taken()
        await ben.answer(request, result(status(WORKING)))
        await ben.answer(request, result(status(f"TASK_STATE_{state}")))
        assert (await task).state is TaskState(state)
        assert not requester._calls._in_flight
        await ben.answer(request, result(status(WORKING)))
        await clock.advance(100)
    assert len(bus.published("/request/")) == 1


async def test_Q21_an_interrupted_task_goes_on_under_a_new_correlation(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        (first,) = ben.taken()
        await ben.answer(first, result(status("TASK_STATE_INPUT_REQUIRED")))
        await task
        task = asked(requester, "blue")
        await clock.settle()
        (second,) = ben.taken()
        await ben.answer(second, result(status(DONE)))
        assert (await task).state is TaskState.COMPLETED
    turns = [read(packet)["params"]["message"] for packet in (first, second)]
    assert turns[0]["taskId"] == turns[1]["taskId"]
    assert turns[0]["contextId"] == turns[1]["contextId"]
    assert turns[0]["messageId"] != turns[1]["messageId"]
    assert first.properties.correlation != second.properties.correlation


async def test_Q22_an_item_that_comes_twice_is_seen_once(bus: Bus, clock: FakeClock) -> None:
    bus.twice = lambda packet: "/reply/" in packet.topic
    piece = {
        "taskId": TASK,
        "contextId": CONTEXT,
        "artifact": {"artifactId": "a", "parts": [{"text": "x"}]},
        "append": True,
    }
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        seen: list[Update] = []
        stream = asyncio.ensure_future(collect(requester, seen))
        await clock.settle()
        task.cancel()
        request = ben.taken()[1]
        await ben.answer(request, result(status(WORKING)))
        await ben.answer(request, result({"artifactUpdate": piece}), (("a2a-chunk-seqno", "1"),))
        await ben.answer(request, result({"artifactUpdate": piece}), (("a2a-chunk-seqno", "2"),))
        await ben.answer(request, result(status(DONE)))
        await stream
    assert [type(update).__name__ for update in seen] == [
        "StatusUpdate",
        "ArtifactUpdate",
        "ArtifactUpdate",
        "StatusUpdate",
    ]


async def test_S8_any_answer_is_a_sign_of_life(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        alive = asyncio.ensure_future(requester.answers(BEN))
        await clock.settle()
        await ben.answer(ben.taken()[0], error(-32001))
        assert await alive
        alive = asyncio.ensure_future(requester.answers(BEN))
        await clock.advance(100)
        assert not await alive


async def test_H2_H3_H4_the_latest_named_agent_gets_what_follows(bus: Bus, clock: FakeClock) -> None:
    async with asking(bus, clock) as (requester, ben):
        task = asked(requester)
        await clock.settle()
        (request,) = ben.taken()
        await ben.answer(request, result(status(WORKING)), (("a2a-responder-agent-id", "cat"),))
        await ben.answer(request, result(status(DONE)), (("a2a-responder-agent-id", "dog"),))
        assert (await task).id == TASK
        call = asyncio.ensure_future(requester.get_task(BEN, TASK))
        await clock.settle()
        call.cancel()
    assert bus.published("/request/")[-1].topic == "$a2a/v1/request/acme/lab/dog"


async def test_Q22_after_a_retry_two_streams_are_seen_as_one(bus: Bus, clock: FakeClock) -> None:
    puppet, lost = Puppet(), True
    bus.lose = lambda packet: lost and "/reply/" in packet.topic
    async with (
        bus.wire(str(ANN)) as wire,
        bus.wire(str(BEN)) as other,
        Responder(other, BEN, puppet, clock=clock),
        Requester(wire, ANN, clock=clock) as requester,
    ):
        seen: list[Update] = []
        stream = asyncio.ensure_future(collect(requester, seen))
        await clock.advance(15.5)
        lost = False
        await clock.advance(1.5)
        puppet.do(working(), artifact("x", artifact_id="a", append=True), completed())
        await stream
    assert len({packet.properties.correlation for packet in bus.published("/reply/")}) == 2
    assert [type(update).__name__ for update in seen] == [
        "Task",
        "StatusUpdate",
        "ArtifactUpdate",
        "StatusUpdate",
    ]


async def test_an_error_in_the_body_is_raised_as_it_is(bus: Bus, clock: FakeClock) -> None:
    with pytest.raises(NoReply):
        async with bus.wire(str(ANN)) as wire, Requester(wire, ANN, clock=clock):
            raise NoReply("silence")
