"""The R rules about tasks that are known: retries, restarts, further turns, plain sends."""

from pathlib import Path
from typing import Any

import pytest

from agentorchestr.a2a.handler import artifact, asks, completed, failed, rejected, working
from agentorchestr.a2a.limits import ResponderLimits
from agentorchestr.a2a.store import FolderTaskStore, MemoryTaskStore
from tests.a2a.agents import Puppet
from tests.a2a.answering import answering, told
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, CONTEXT, TASK, message, read, request, send, states

pytestmark = pytest.mark.anyio
OTHER = "0d0d0d0d-3c1b-4d7e-8a55-0d1e2f3a4b5c"


async def test_R4_R5_R9_R14_R15_every_item_names_task_and_context(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        puppet.do(working("on it"), artifact("out", artifact_id="a1"), completed("done"))
        items = await told(ann, clock)
    assert states(items) == ["SUBMITTED", "WORKING", "artifact", "COMPLETED"]
    for packet in items:
        body = read(packet)["result"]
        assert len(body) == 1
        (held,) = body.values()
        assert held.get("taskId", held.get("id")) == TASK
        assert held["contextId"] == CONTEXT
        assert packet.properties.correlation == b"c1"
        assert packet.properties.content_type == "application/json"
        assert packet.properties.utf8
        assert not packet.retained


async def test_R8_a_retry_during_the_work_joins_it(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        await clock.settle()
        puppet.do(working("half"))
        await told(ann, clock)
        await ann.ask(BEN, send(), correlation=b"two")
        (snapshot,) = await told(ann, clock)
        assert snapshot.properties.correlation == b"two"
        assert states([snapshot]) == ["WORKING"]
        puppet.do(completed())
        ends = await told(ann, clock)
        assert sorted(packet.properties.correlation for packet in ends) == [b"one", b"two"]
    assert len(puppet.started) == 1


@pytest.mark.parametrize("end", [completed("ok"), failed("broke"), rejected("no")])
async def test_R8_a_retry_after_the_end_is_told_the_end(
    bus: Bus, clock: FakeClock, puppet: Puppet, end: Any
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(artifact("out", artifact_id="a"), end)
        await ann.ask(BEN, send(), correlation=b"one")
        await told(ann, clock)
        await ann.ask(BEN, send(), correlation=b"two")
        (packet,) = await told(ann, clock)
        task = read(packet)["result"]["task"]
        assert task["status"]["state"] == end.state
        assert task["artifacts"][0]["parts"] == [{"text": "out"}]
    assert len(puppet.started) == 1


async def test_R8_a_retry_after_a_restart_is_told_the_end(bus: Bus, clock: FakeClock, tmp_path: Path) -> None:
    first, second = Puppet(), Puppet()
    async with answering(bus, clock, first, store=FolderTaskStore(tmp_path)) as ann:
        first.do(artifact("out", artifact_id="a"), completed())
        await ann.ask(BEN, send())
        await told(ann, clock)
    async with answering(bus, clock, second, store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send(), correlation=b"later")
        (packet,) = await told(ann, clock)
        assert read(packet)["result"]["task"]["artifacts"][0]["parts"] == [{"text": "out"}]
    assert not second.started


async def test_R8_what_a_restart_interrupted_has_failed_and_says_so(
    bus: Bus, clock: FakeClock, tmp_path: Path
) -> None:
    async with answering(bus, clock, Puppet(), store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send())
        await told(ann, clock)
    async with answering(bus, clock, Puppet(), store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send(), correlation=b"later")
        assert states(await told(ann, clock)) == ["FAILED"]


async def test_R8_a_handler_that_can_is_given_its_task_again(
    bus: Bus, clock: FakeClock, tmp_path: Path
) -> None:
    again = Puppet()
    async with answering(bus, clock, Puppet(), store=FolderTaskStore(tmp_path)) as ann:
        await ann.ask(BEN, send())
        await told(ann, clock)
    async with answering(bus, clock, again, store=FolderTaskStore(tmp_path), resume=True) as ann:
        await clock.settle()
        await ann.ask(BEN, send(), correlation=b"later")
        again.do(completed())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]
    assert [task.id for task in again.started] == [TASK]


async def test_C10_a_request_packet_that_comes_twice_is_one_task_and_one_stream(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    bus.twice = lambda packet: "/request/" in packet.topic
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send())
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]
    assert len(puppet.started) == 1


async def test_T2_two_tasks_of_one_context_end_each_on_their_own(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        await ann.ask(BEN, send(task_id=OTHER, message_id="m2"), correlation=b"two")
        await told(ann, clock)
        puppet.do(completed())
        (first,) = await told(ann, clock)
        puppet.do(failed("no"))
        (second,) = await told(ann, clock)
        assert states([first, second]) == ["COMPLETED", "FAILED"]
        assert first.properties.correlation != second.properties.correlation


async def test_G4_a_new_message_goes_on_with_an_interrupted_task(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(asks("red or blue?"))
        await ann.ask(BEN, send(), correlation=b"one")
        assert states(await told(ann, clock)) == ["SUBMITTED", "INPUT_REQUIRED"]
        await ann.ask(BEN, send(), correlation=b"retry")
        assert states(await told(ann, clock)) == ["INPUT_REQUIRED"]
        await ann.ask(BEN, send(text="blue", message_id="m2"), correlation=b"two")
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["SUBMITTED", "COMPLETED"]
    turns = [[said.text for said in task.history] for task in puppet.started]
    assert turns == [["do it"], ["do it", "red or blue?", "blue"]]


async def test_G4_a_new_message_for_a_running_task_is_refused(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        await told(ann, clock)
        await ann.ask(BEN, send(message_id="m2"), correlation=b"two")
        assert states(await told(ann, clock)) == ["-32004"]


async def test_G5_a_plain_send_is_answered_when_it_is_over(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(artifact("out", artifact_id="a"), completed())
        await ann.ask(BEN, send("SendMessage"))
        (packet,) = await told(ann, clock)
    assert read(packet)["result"]["task"]["artifacts"][0]["artifactId"] == "a"
    assert states([packet]) == ["COMPLETED"]


async def test_G5_a_plain_send_is_answered_within_2_s_and_the_rest_follows(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send("SendMessage"))
        puppet.do(working("half"))
        assert not await told(ann, clock)
        await clock.advance(2)
        assert states(await told(ann, clock)) == ["WORKING"]
        puppet.do(completed())
        assert states(await told(ann, clock)) == ["COMPLETED"]


async def test_G5_return_immediately_is_one_answer(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        params = {"message": message(), "configuration": {"returnImmediately": True}}
        await ann.ask(BEN, request("SendMessage", params))
        assert states(await told(ann, clock)) == ["SUBMITTED"]
        puppet.do(completed())
        assert not await told(ann, clock)


async def test_a_correlation_may_be_used_again_after_the_end(
    bus: Bus, clock: FakeClock, puppet: Puppet
) -> None:
    async with answering(bus, clock, puppet) as ann:
        puppet.do(completed())
        for _ in range(2):
            await ann.ask(BEN, send(), correlation=b"same")
            assert states(await told(ann, clock))[-1] == "COMPLETED"
    assert len(puppet.started) == 1


async def test_the_handler_knows_who_is_answered(bus: Bus, clock: FakeClock, puppet: Puppet) -> None:
    async with answering(bus, clock, puppet) as ann:
        await ann.ask(BEN, send(), correlation=b"one")
        await told(ann, clock)
        ann.reply_topic = "somewhere/else"
        await ann.ask(BEN, send(task_id=OTHER), correlation=b"two")
        await told(ann, clock)
    assert [task.metadata for task in puppet.started] == [{"a2a-ao-asker": str(ANN)}, None]


async def test_only_the_newest_ended_tasks_are_kept(bus: Bus, clock: FakeClock) -> None:
    store = MemoryTaskStore()
    limits = ResponderLimits(keep_tasks=3)
    async with answering(bus, clock, Puppet(), store=store, limits=limits) as ann:
        for number in range(100):
            params = {"message": message(task_id=f"{TASK[:-3]}{number:03}", message_id=f"m{number}")}
            await ann.ask(BEN, request("SendMessage", params), correlation=b"%d" % number)
            await clock.settle()
            await ann.ask(
                BEN, request("CancelTask", {"id": f"{TASK[:-3]}{number:03}"}), correlation=b"c%d" % number
            )
            await clock.advance(1)
    assert sorted(record.task.id[-2:] for record in store.all()) == ["96", "97", "98", "99"]


async def test_old_tasks_are_forgotten(bus: Bus, clock: FakeClock, tmp_path: Path) -> None:
    store = FolderTaskStore(tmp_path)
    puppet = Puppet()
    async with answering(bus, clock, puppet, store=store) as ann:
        puppet.do(completed())
        await ann.ask(BEN, send())
        await told(ann, clock)
    await clock.advance(8 * 24 * 3600)
    async with answering(bus, clock, puppet, store=store):
        assert not list(FolderTaskStore(tmp_path).all())
