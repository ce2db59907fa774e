"""An agent written with the server side of ``a2a-sdk`` answers over MQTT: to our requester, to the SDK's
own client, and to a raw peer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("a2a.server", reason="a2a-sdk is not installed: pip install 'agentorchestr[a2a]'")

from a2a.client.client import Client, ClientConfig
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandlerV2
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import ContentTypeNotSupportedError, TaskNotCancelableError, TaskNotFoundError
from a2a.utils.proto_utils import validate_proto_required_fields

from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.limits import ResponderLimits
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.sdk_server import card_on_bus, serve_sdk
from agentorchestr.a2a.sdk_transport import client_for
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.watcher import CardWatcher
from tests.a2a.bus import Bus
from tests.a2a.raw import ANN, BEN, TASK, Raw, read, send, states

pytestmark = pytest.mark.anyio
LIMITS = ResponderLimits(hold_s=0.05)


def their_card(*, streaming: bool = True) -> pb.AgentCard:
    return pb.AgentCard(
        name="ben",
        description="written with a2a-sdk",
        version="1.0.0",
        capabilities=pb.AgentCapabilities(streaming=streaming),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[pb.AgentSkill(id="echo", name="echo", description="says it again", tags=["echo"])],
    )


class Executor(AgentExecutor):
    """Does what the first word of the message says, as an agent of the SDK would."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.continued: list[bool] = []
        self.cancelled: list[str] = []
        self.go_on = asyncio.Event()
        self.stoppable = True

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        text = context.get_user_input()
        self.asked.append((context.call_context.user.user_name if context.call_context else "", text))
        self.continued.append(context.current_task is not None)
        if text == "no task":
            said = pb.Message(
                message_id="said",
                role=pb.ROLE_AGENT,
                parts=[pb.Part(text="just words")],
                context_id=context.context_id,
            )
            await event_queue.enqueue_event(said)
            return
        if text == "raise":
            raise ContentTypeNotSupportedError(message="no such thing")
        if text == "burst":
            raise RuntimeError("secret inner words")
        updater = TaskUpdater(event_queue, context.task_id or "", context.context_id or "")
        if context.current_task is None:
            task = pb.Task(id=context.task_id, context_id=context.context_id)
            task.status.state = pb.TASK_STATE_SUBMITTED
            await event_queue.enqueue_event(task)
        await updater.start_work(updater.new_agent_message([pb.Part(text="thinking")]))
        if text == "ask me":
            await updater.requires_input(updater.new_agent_message([pb.Part(text="which colour?")]))
            return
        if text == "wait":
            await self.go_on.wait()
        await updater.add_artifact([pb.Part(text="one ")], artifact_id="out", append=False, last_chunk=False)
        await updater.add_artifact(
            [pb.Part(raw=b"\x00\xff", media_type="application/x-raw")],
            artifact_id="out",
            append=True,
            last_chunk=True,
        )
        await updater.complete(updater.new_agent_message([pb.Part(text=f"did {text}")]))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        if not self.stoppable:
            raise TaskNotCancelableError(message="it cannot be stopped")
        self.cancelled.append(context.task_id or "")
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


@pytest.fixture
def executor() -> Executor:
    return Executor()


@asynccontextmanager
async def served(
    bus: Bus, agent: Any, *, streaming: bool = True, folder: Path | None = None
) -> AsyncIterator[Requester]:
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(bus.wire(str(BEN)))
        await stack.enter_async_context(
            serve_sdk(wire, BEN, agent, their_card(streaming=streaming), folder=folder, limits=LIMITS)
        )
        asking = await stack.enter_async_context(bus.wire(str(ANN)))
        yield await stack.enter_async_context(Requester(asking, ANN))


@asynccontextmanager
async def both_sdk(bus: Bus, agent: Any, *, streaming: bool = True) -> AsyncIterator[Client]:
    """The SDK's client, made from the card that was seen on the bus, to the SDK's server."""
    async with served(bus, agent) as requester, bus.wire("acme/lab/watch") as wire:
        async with CardWatcher(wire, ANN.org, ANN.unit) as watcher:
            assert await watcher.wait_until(lambda: watcher.card_of(BEN) is not None, timeout_s=5)
            seen = watcher.card_of(BEN)
        assert seen is not None
        async with client_for(requester, seen, config=ClientConfig(streaming=streaming)) as client:
            yield client


def says(
    text: str, *, message_id: str = "m1", modes: tuple[str, ...] = (), **more: str
) -> pb.SendMessageRequest:
    turn = pb.Message(message_id=message_id, role=pb.ROLE_USER, parts=[pb.Part(text=text)], **more)
    asked = pb.SendMessageRequest(message=turn)
    asked.configuration.accepted_output_modes.extend(modes)
    return asked


async def test_our_requester_is_answered_by_an_agent_of_the_sdk(bus: Bus, executor: Executor) -> None:
    async with served(bus, executor) as requester:
        asked = new_message("paint it")
        task = await requester.ask(BEN, asked)
        kept = await requester.get_task(BEN, task.id)
    assert task.id == kept.id == asked.task_id
    assert task.state is TaskState.COMPLETED
    assert task.status.message is not None
    assert task.status.message.text == "did paint it"
    assert [part.text or part.raw for part in task.artifacts[0].parts] == ["one ", "AP8="]
    assert executor.asked == [(str(ANN), "paint it")]


async def test_a_stream_tells_each_step(bus: Bus, executor: Executor) -> None:
    async with both_sdk(bus, executor) as client:
        items = [item async for item in client.send_message(says("paint", task_id=TASK))]
    for item in items:
        validate_proto_required_fields(item)
    kinds = [item.WhichOneof("payload") for item in items]
    assert kinds[0] == "task"
    assert kinds.count("artifact_update") == 2
    assert items[-1].status_update.status.message.parts[0].text == "did paint"
    assert {item.task.id or item.status_update.task_id or item.artifact_update.task_id for item in items} == {
        TASK
    }
    second = items[kinds.index("artifact_update") + 1].artifact_update
    assert second.append
    assert second.last_chunk
    assert second.artifact.parts[0].raw == b"\x00\xff"


async def test_one_answer_get_and_list(bus: Bus, executor: Executor) -> None:
    async with both_sdk(bus, executor, streaming=False) as client:
        (item,) = [item async for item in client.send_message(says("paint"))]
        assert item.task.status.state == pb.TASK_STATE_COMPLETED
        assert (await client.get_task(pb.GetTaskRequest(id=item.task.id))).artifacts == item.task.artifacts
        assert (await client.list_tasks(pb.ListTasksRequest())).total_size == 1


async def test_a_question_and_its_answer_are_one_task(bus: Bus, executor: Executor) -> None:
    async with both_sdk(bus, executor, streaming=False) as client:
        (asked,) = [item async for item in client.send_message(says("ask me"))]
        assert asked.task.status.state == pb.TASK_STATE_INPUT_REQUIRED
        assert asked.task.status.message.parts[0].text == "which colour?"
        more = says("blue", message_id="m2", task_id=asked.task.id, context_id=asked.task.context_id)
        (done,) = [item async for item in client.send_message(more)]
        assert done.task.status.state == pb.TASK_STATE_COMPLETED
        assert done.task.id == asked.task.id
    assert [text for _, text in executor.asked] == ["ask me", "blue"]
    assert executor.continued == [False, True]


async def test_cancelling_reaches_the_agent(bus: Bus, executor: Executor) -> None:
    async with both_sdk(bus, executor) as client:
        items = client.send_message(says("wait", task_id=TASK))
        while (await anext(items)).status_update.status.state != pb.TASK_STATE_WORKING:
            pass
        cancelled = await client.cancel_task(pb.CancelTaskRequest(id=TASK))
        assert cancelled.status.state == pb.TASK_STATE_CANCELED
        assert [item async for item in items][-1].status_update.status.state == pb.TASK_STATE_CANCELED
    assert len(executor.cancelled) == 1


async def test_an_agent_that_cannot_stop_says_so(bus: Bus, executor: Executor) -> None:
    executor.stoppable = False
    async with both_sdk(bus, executor) as client:
        items = client.send_message(says("wait", task_id=TASK))
        while (await anext(items)).status_update.status.state != pb.TASK_STATE_WORKING:
            pass
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(pb.CancelTaskRequest(id=TASK))


async def test_errors_have_the_codes_of_the_profile(bus: Bus, executor: Executor) -> None:
    async with both_sdk(bus, executor, streaming=False) as client:
        with pytest.raises(TaskNotFoundError):
            await client.get_task(pb.GetTaskRequest(id=TASK))
        with pytest.raises(ContentTypeNotSupportedError):
            _ = [item async for item in client.send_message(says("paint", modes=("image/png",)))]
        _ = [item async for item in client.send_message(says("paint", task_id=TASK))]
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(pb.CancelTaskRequest(id=TASK))
    async with served(bus, executor) as requester:
        with pytest.raises(A2AError) as refused:
            await requester.ask(BEN, new_message("raise"))
        assert refused.value.fault is Fault.CONTENT_TYPE_NOT_SUPPORTED


async def test_a_fault_of_the_agent_fails_its_task_and_tells_nothing_of_its_inside(
    bus: Bus, executor: Executor
) -> None:
    async with served(bus, executor) as requester:
        task = await requester.ask(BEN, new_message("burst"))
        again = await requester.ask(BEN, new_message("paint"))
    assert task.state is TaskState.FAILED
    assert again.state is TaskState.COMPLETED
    assert not any(b"secret" in packet.payload for packet in bus.published("reply"))


async def test_an_answer_without_a_task_ends_the_task_that_was_asked_for(
    bus: Bus, executor: Executor
) -> None:
    async with served(bus, executor) as requester:
        task = await requester.ask(BEN, new_message("no task"))
    assert task.state is TaskState.COMPLETED
    assert task.status.message is not None
    assert task.status.message.text == "just words"


async def test_an_agent_that_cannot_stream_is_asked_for_one_answer(bus: Bus, executor: Executor) -> None:
    async with served(bus, executor, streaming=False) as requester:
        task = await requester.ask(BEN, new_message("paint"))
    assert task.state is TaskState.COMPLETED
    assert len(task.artifacts) == 1


async def test_a_raw_peer_that_asks_twice_starts_one_task(bus: Bus, executor: Executor) -> None:
    async with served(bus, executor), Raw(bus, ANN) as ann:
        await ann.listen()
        await ann.ask(BEN, send(), b"c1")
        await ann.ask(BEN, send(), b"c2")
        found: list[Any] = []
        async with asyncio.timeout(5):
            while states(found).count("COMPLETED") < 2:
                await asyncio.sleep(0)
                found += ann.taken()
    assert len(executor.asked) == 1
    assert {packet.properties.correlation for packet in found} == {b"c1", b"c2"}
    assert not any("error" in read(packet) for packet in found)


async def test_a_question_is_answered_after_a_restart(bus: Bus, executor: Executor, tmp_path: Path) -> None:
    kept = DefaultRequestHandlerV2(executor, InMemoryTaskStore(), their_card())
    asked = new_message("ask me")
    async with served(bus, kept, folder=tmp_path) as requester:
        assert (await requester.ask(BEN, asked)).state is TaskState.INPUT_REQUIRED
    async with served(bus, kept, folder=tmp_path) as requester:
        answer = new_message("blue", task_id=asked.task_id, context_id=asked.context_id)
        task = await requester.ask(BEN, answer)
    assert task.state is TaskState.COMPLETED
    assert [text for _, text in executor.asked] == ["ask me", "blue"]
    assert executor.continued == [False, True]
    await kept.aclose()


def test_the_card_on_the_bus_says_where_to_ask_and_promises_nothing_else() -> None:
    card = their_card()
    card.capabilities.push_notifications = True
    card.supported_interfaces.add(url="http://h", protocol_binding="JSONRPC", protocol_version="1.0")
    shown = card_on_bus(card, BEN)
    assert shown["capabilities"]["pushNotifications"] is False
    assert shown["capabilities"]["extensions"][0]["params"]["requestTopic"] == f"$a2a/v1/request/{BEN}"
    assert [face["protocolBinding"] for face in shown["supportedInterfaces"]][-1] == "JSONRPC"
