"""What requesters see of a task: items, signs of life, cancelling, lists, events."""

from typing import Any

import pytest

from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.handler import artifact, asks, completed, working
from agentorchestr.a2a.store import MemoryTaskStore
from agentorchestr.errors import AgentError
from agentorchestr.model.carrier import Properties
from tests.a2a.agents import Puppet
from tests.a2a.answering import answering, error_of, told
from tests.a2a.bus import Bus, Packet
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import BEN, TASK, read, request, send, states

pytestmark = pytest.mark.anyio


async def test_G16_a_silent_task_shows_that_it_lives_every_10_s(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        puppet.do(working())
        await told(ann, clock)
        await clock.advance(31)
        beats = await told(ann, clock)
        assert states(beats) == ["WORKING"] * 3
        for beat in beats:
            assert read(beat)["result"]["statusUpdate"]["metadata"] == {"heartbeat": True}
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["COMPLETED"]
        await clock.advance(100)
        assert not await told(ann, clock)


async def test_G17_a_long_text_goes_out_in_pieces(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    text = "".join(str(number % 10) for number in range(200_000))
    async with answering(bus, clock, puppet) as ann:
        puppet.do(artifact(text, artifact_id="a"), completed())
        await ann.ask(BEN, send())
        items = await told(ann, clock)
    pieces = [read(packet)["result"]["artifactUpdate"] for packet in items[1:-1]]
    assert len(pieces) > 1
    assert "".join(piece["artifact"]["parts"][0]["text"] for piece in pieces) == text
    assert [piece.get("append", False) for piece in pieces] == [False] + [True] * (len(pieces) - 1)
    assert [piece.get("lastChunk", False) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(packet.payload) < 256 * 1024 for packet in items)


async def test_cancel_stops_the_work_and_tells_everybody(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"stream")
        await told(ann, clock)
        await ann.ask(BEN, request("CancelTask", {"id": TASK}), correlation=b"cancel")
        replies = await told(ann, clock)
        assert {packet.properties.correlation: states([packet])[0] for packet in replies} == {
            b"stream": "CANCELED",
            b"cancel": "CANCELED",
        }
        assert puppet.closed == 1
        await ann.ask(BEN, send(), correlation=b"retry")
        assert states(await told(ann, clock)) == ["CANCELED"]
    assert puppet.cancelled == [TASK]


async def test_cancel_ends_a_task_that_asks(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(asks("?"))
        await ann.ask(BEN, send(), correlation=b"one")
        await told(ann, clock)
        await ann.ask(BEN, request("CancelTask", {"id": TASK}), correlation=b"cancel")
        assert states(await told(ann, clock)) == ["CANCELED"]


async def test_a_handler_that_breaks_fails_its_task_alone(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        for number, fault in enumerate((AgentError("no login"), RuntimeError("token=secret"))):
            puppet.do(fault)
            await ann.ask(BEN, send(task_id=TASK[:-1] + str(number)), correlation=b"c%d" % number)
            *_, last = await told(ann, clock)
            said = read(last)["result"]["statusUpdate"]["status"]
            assert said["state"] == "TASK_STATE_FAILED"
            text = said["message"]["parts"][0]["text"]
            assert text == ("the agent failed: no login", "the agent failed: RuntimeError")[number]


async def test_work_without_a_last_word_is_completed(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(None)
        await ann.ask(BEN, send())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]


async def test_subscribing_begins_with_the_task(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        puppet.do(working())
        await told(ann, clock)
        await ann.ask(BEN, request("SubscribeToTask", {"id": TASK}), correlation=b"two")
        (first,) = await told(ann, clock)
        assert "task" in read(first)["result"]
        puppet.do(completed())
        ends = await told(ann, clock)
        assert sorted(packet.properties.correlation for packet in ends) == [b"one", b"two"]


async def test_listing_shows_the_asker_its_own_tasks_newest_first(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        for number in range(3):
            puppet.do(artifact("x", artifact_id="a"), completed())
            await ann.ask(BEN, send(task_id=TASK[:-1] + str(number)), correlation=b"c%d" % number)
            await clock.advance(1)
        await told(ann, clock)
        await ann.ask(BEN, request("ListTasks", {"pageSize": 2}), correlation=b"p1")
        page = read((await told(ann, clock))[0])["result"]
        assert [task["id"][-1] for task in page["tasks"]] == ["2", "1"]
        assert page["totalSize"] == 3
        assert all("artifacts" not in task for task in page["tasks"])
        params = {"pageSize": 2, "pageToken": page["nextPageToken"], "includeArtifacts": True}
        await ann.ask(BEN, request("ListTasks", params), correlation=b"p2")
        page = read((await told(ann, clock))[0])["result"]
        assert [task["id"][-1] for task in page["tasks"]] == ["0"]
        assert page["tasks"][0]["artifacts"]
        assert page["nextPageToken"] == ""
        ann.reply_topic = "$a2a/v1/reply/acme/lab/eve/s"
        await ann.listen()
        await ann.ask(BEN, request("ListTasks"), correlation=b"p3")
        assert read((await told(ann, clock))[0])["result"]["tasks"] == []


async def test_replies_wait_for_the_connection(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        await told(ann, clock)
        wire = next(wire for wire in bus.wires if wire.client_id == str(BEN))
        wire.cut()
        puppet.do(completed())
        assert not await told(ann, clock)
        wire.back()
        assert states(await told(ann, clock)) == ["COMPLETED"]


async def test_requests_are_acknowledged_after_the_task_is_stored(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    order: list[str] = []

    class Noting(MemoryTaskStore):
        def save(self, record: Any) -> None:
            order.append("stored")
            super().save(record)

    class Marked(Packet):
        def acknowledge(self) -> None:
            order.append("acknowledged")

    async with answering(bus, clock, puppet, store=Noting()) as ann:
        wire = next(wire for wire in bus.wires if wire.client_id == str(BEN))
        properties = Properties(response_topic=ann.reply_topic, correlation=b"c")
        wire.put(Marked(f"$a2a/v1/request/{BEN}", send(), properties))
        await told(ann, clock)
    assert order[:2] == ["stored", "acknowledged"]


async def test_a_handler_may_refuse_to_stop_and_the_task_goes_on(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    puppet.refusal = A2AError(Fault.TASK_NOT_CANCELABLE, "too late")
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"stream")
        await told(ann, clock)
        await ann.ask(BEN, request("CancelTask", {"id": TASK}), correlation=b"cancel")
        (refused,) = await told(ann, clock)
        assert refused.properties.correlation == b"cancel"
        assert error_of(refused)["code"] == Fault.TASK_NOT_CANCELABLE.code
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["COMPLETED"]


async def test_a_handler_may_refuse_a_task_with_an_error_of_the_protocol(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(A2AError(Fault.CONTENT_TYPE_NOT_SUPPORTED, "no pictures"))
        await ann.ask(BEN, send("SendMessage"), correlation=b"held")
        (refused,) = await told(ann, clock)
        assert error_of(refused)["code"] == Fault.CONTENT_TYPE_NOT_SUPPORTED.code
        await ann.ask(BEN, send(), correlation=b"again")
        (again,) = await told(ann, clock)
        assert states([again]) == ["REJECTED"]
        puppet.do(A2AError(Fault.CONTENT_TYPE_NOT_SUPPORTED, "no pictures"))
        await ann.ask(BEN, send(task_id=TASK[:-1] + "0"), correlation=b"stream")
        assert states(await told(ann, clock)) == ["SUBMITTED", "-32005"]
