"""The client of ``a2a-sdk`` asks agents of ours over MQTT, and the SDK reads and checks what they say."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

pytest.importorskip("a2a.client", reason="a2a-sdk is not installed: pip install 'agentorchestr[a2a]'")

from a2a.client.client import Client, ClientCallContext, ClientConfig
from a2a.client.client_factory import ClientFactory
from a2a.client.errors import A2AClientError, A2AClientTimeoutError
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import (
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from a2a.utils.proto_utils import parse_lenient, validate_proto_required_fields

from agentorchestr.a2a.card_json import card_json
from agentorchestr.a2a.handler import artifact, completed, working
from agentorchestr.a2a.limits import ResponderLimits
from agentorchestr.a2a.policy import RequestPolicy
from agentorchestr.a2a.requester import Requester
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.sdk_transport import address_of, client_for, register_mqtt
from agentorchestr.a2a.watcher import SeenCard
from agentorchestr.model.mail import AgentCard, Skill
from agentorchestr.swarm.card_wire import BINDINGS
from tests.a2a.agents import Echo, Puppet
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, CAT, TASK

pytestmark = pytest.mark.anyio
CARD = card_json(AgentCard(BEN, skills=(Skill("echo", "says it again"),)), broker_url="mqtt://localhost")
SHORT = RequestPolicy(first_reply_s=0.05, attempts=1)


def seen(address: object = BEN) -> SeenCard:
    return SeenCard(address, CARD, "online", "agent", (), 0.0)  # type: ignore[arg-type]


@asynccontextmanager
async def talking(
    bus: Bus, handler: Echo | Puppet, *, streaming: bool = True, limits: ResponderLimits | None = None
) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        answering = await stack.enter_async_context(bus.wire(str(BEN)))
        await stack.enter_async_context(
            Responder(answering, BEN, handler, limits=limits or ResponderLimits(hold_s=0.05))
        )
        asking = await stack.enter_async_context(bus.wire(str(ANN)))
        requester = await stack.enter_async_context(Requester(asking, ANN))
        client = client_for(requester, seen(), config=ClientConfig(streaming=streaming))
        yield await stack.enter_async_context(client)


def says(text: str, **more: str) -> pb.SendMessageRequest:
    turn = pb.Message(message_id="m1", role=pb.ROLE_USER, parts=[pb.Part(text=text)], **more)
    return pb.SendMessageRequest(message=turn)


async def test_a_stream_of_items(bus: Bus) -> None:
    async with talking(bus, Echo()) as client:
        items = [item async for item in client.send_message(says("hello"))]
    for item in items:
        validate_proto_required_fields(item)
    assert [item.WhichOneof("payload") for item in items] == [
        "task",
        "status_update",
        "artifact_update",
        "status_update",
    ]
    assert items[2].artifact_update.artifact.parts[0].text == "hello"
    assert items[-1].status_update.status.state == pb.TASK_STATE_COMPLETED
    assert items[0].task.history[0].parts[0].text == "hello"


async def test_one_answer(bus: Bus) -> None:
    async with talking(bus, Echo(), streaming=False) as client:
        (item,) = [item async for item in client.send_message(says("hello"))]
        validate_proto_required_fields(item)
        assert item.task.status.state == pb.TASK_STATE_COMPLETED
        assert item.task.artifacts[0].parts[0].text == "hello"
        kept = await client.get_task(pb.GetTaskRequest(id=item.task.id, history_length=0))
        assert kept.artifacts == item.task.artifacts
        assert not kept.history
        listed = await client.list_tasks(pb.ListTasksRequest(include_artifacts=True))
        assert [task.id for task in listed.tasks] == [item.task.id]
        assert listed.total_size == 1


async def test_one_answer_of_work_that_takes_long_waits_for_the_end(bus: Bus, clock: FakeClock) -> None:
    puppet = Puppet()
    async with talking(bus, puppet, streaming=False) as client:
        puppet.do(working(), artifact("out"), None)
        (item,) = [item async for item in client.send_message(says("x"))]
        assert item.task.status.state == pb.TASK_STATE_COMPLETED


async def test_a_question_and_its_answer(bus: Bus) -> None:
    async with talking(bus, Echo(), streaming=False) as client:
        (asked,) = [item async for item in client.send_message(says("really?"))]
        assert asked.task.status.state == pb.TASK_STATE_INPUT_REQUIRED
        more = says("blue", task_id=asked.task.id, context_id=asked.task.context_id)
        more.message.message_id = "m2"
        (done,) = [item async for item in client.send_message(more)]
        assert done.task.status.state == pb.TASK_STATE_COMPLETED
        assert done.task.id == asked.task.id


async def test_cancelling_and_subscribing(bus: Bus) -> None:
    puppet = Puppet()
    async with talking(bus, puppet) as client:
        items = client.send_message(says("x", task_id=TASK))
        first = await anext(items)
        again = client.subscribe(pb.SubscribeToTaskRequest(id=TASK))
        assert (await anext(again)).task.id == first.task.id == TASK
        cancelled = await client.cancel_task(pb.CancelTaskRequest(id=TASK))
        assert cancelled.status.state == pb.TASK_STATE_CANCELED
        for stream in (items, again):
            rest = [item async for item in stream]
            assert rest[-1].status_update.status.state == pb.TASK_STATE_CANCELED


async def test_errors_are_those_of_the_sdk(bus: Bus) -> None:
    puppet = Puppet()
    puppet.do(completed())
    async with talking(bus, puppet) as client:
        _ = [item async for item in client.send_message(says("x", task_id=TASK))]
        with pytest.raises(TaskNotFoundError):
            await client.get_task(pb.GetTaskRequest(id="no"))
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(pb.CancelTaskRequest(id=TASK))
        with pytest.raises(UnsupportedOperationError):
            _ = [item async for item in client.subscribe(pb.SubscribeToTaskRequest(id=TASK))]
        with pytest.raises(PushNotificationNotSupportedError):
            await client.create_task_push_notification_config(
                pb.TaskPushNotificationConfig(task_id=TASK, url="http://h")
            )
        with pytest.raises(PushNotificationNotSupportedError):
            await client.list_task_push_notification_configs(
                pb.ListTaskPushNotificationConfigsRequest(task_id=TASK)
            )


async def test_transport_errors_and_silence_are_client_errors(bus: Bus) -> None:
    full = ResponderLimits(max_open=0)
    async with talking(bus, Echo(), limits=full) as client:
        with pytest.raises(A2AClientError, match="more than enough"):
            _ = [item async for item in client.send_message(says("x"))]
    async with bus.wire(str(ANN)) as wire, Requester(wire, ANN, policy=SHORT) as requester:
        silent = client_for(requester, seen(CAT))
        with pytest.raises(A2AClientTimeoutError):
            await silent.get_task(pb.GetTaskRequest(id=TASK))
        with pytest.raises(A2AClientTimeoutError):
            await silent.get_task(pb.GetTaskRequest(id=TASK), context=ClientCallContext(timeout=0.01))


async def test_a_card_of_ours_says_where_to_ask(bus: Bus) -> None:
    card = parse_lenient(CARD, pb.AgentCard())
    validate_proto_required_fields(card)
    assert address_of(card) == BEN
    async with bus.wire(str(ANN)) as wire, Requester(wire, ANN) as requester:
        factory = ClientFactory(ClientConfig(supported_protocol_bindings=list(BINDINGS)))
        register_mqtt(factory, requester)
        client = factory.create(card)
        assert await client.get_extended_agent_card(pb.GetExtendedAgentCardRequest()) == card
        await client.close()
        with pytest.raises(ValueError, match="does not say"):
            factory.create(parse_lenient(CARD | {"capabilities": {}}, pb.AgentCard()))
