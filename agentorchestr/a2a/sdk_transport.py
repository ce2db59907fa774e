"""MQTT as a client transport of ``a2a-sdk``, so that its users reach agents on the bus with their own client.

Needs the extra ``agentorchestr[a2a]``; nothing else of the product imports this module.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from a2a.client.client import Client, ClientCallContext, ClientConfig
from a2a.client.client_factory import ClientFactory
from a2a.client.errors import A2AClientError, A2AClientTimeoutError
from a2a.client.transports.base import ClientTransport
from a2a.types import a2a_pb2 as pb
from a2a.utils.errors import JSON_RPC_ERROR_CODE_MAP
from a2a.utils.proto_utils import parse_lenient
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtobufMessage

from agentorchestr.a2a.calls import Answer
from agentorchestr.a2a.card_json import BINDING_URI
from agentorchestr.a2a.codec import to_json
from agentorchestr.a2a.errors import A2AError, NoReply
from agentorchestr.a2a.requester import Receiver, Requester
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import Json, Message, Task, TaskStatus, applied
from agentorchestr.a2a.topics import PROFILE_TOPICS, Topics
from agentorchestr.a2a.watcher import SeenCard
from agentorchestr.model.mail import Address
from agentorchestr.swarm.card_wire import BINDINGS

_ERRORS = {code: kind for kind, code in JSON_RPC_ERROR_CODE_MAP.items()}
T = TypeVar("T", bound=ProtobufMessage)


def client_for(requester: Requester, seen: SeenCard, *, config: ClientConfig | None = None) -> Client:
    """A client of the SDK for the agent of a card that was seen on the bus."""
    config = config or ClientConfig()
    config.supported_protocol_bindings = [*BINDINGS, *config.supported_protocol_bindings]
    factory = ClientFactory(config)
    register_mqtt(factory, requester, agent=seen.address)
    return factory.create(parse_lenient(seen.card, pb.AgentCard()))


def register_mqtt(
    factory: ClientFactory,
    requester: Requester,
    *,
    agent: Receiver | None = None,
    topics: Topics = PROFILE_TOPICS,
) -> None:
    """Let *factory* make clients that ask over *requester*, for both names of the binding.

    The names have to stand in ``ClientConfig.supported_protocol_bindings``. Without *agent* a card must say
    where its agent reads requests, as ours do; making a client raises ``ValueError`` else.
    """

    def make(card: pb.AgentCard, _url: str, _config: ClientConfig) -> ClientTransport:
        return MqttTransport(requester, agent or address_of(card, topics), card)

    for binding in BINDINGS:
        factory.register(binding, make)


def address_of(card: pb.AgentCard, topics: Topics = PROFILE_TOPICS) -> Address:
    """Where the extension of our cards says that requests are read. Raises ``ValueError``."""
    for extension in card.capabilities.extensions:
        if extension.uri == BINDING_URI:
            address = topics.owner(str(MessageToDict(extension.params).get("requestTopic", "")))
            if address is not None:
                return address
    raise ValueError(f"the card of {card.name!r} does not say where its agent reads requests over MQTT")


class MqttTransport(ClientTransport):
    """Asks one agent over a ``Requester`` that somebody else made and ends.

    A message without ids gets ids of ours: over MQTT they are made by the requester. The time limit of a call
    context counts for calls with one answer; a stream has the limits of the requester.
    """

    def __init__(self, requester: Requester, agent: Receiver, card: pb.AgentCard) -> None:
        self._requester = requester
        self._agent = agent
        self._card = card

    async def send_message(
        self,
        request: pb.SendMessageRequest,
        *,
        context: ClientCallContext | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> pb.SendMessageResponse:
        """Send and wait for the end, or for the first answer when the request says so."""
        params, message = _with_ids(request), None
        task_id = params["message"]["taskId"]
        task = Task(task_id, TaskStatus(TaskState.UNSPECIFIED))
        async with aclosing(self._items("SendMessage", params, task_id)) as answers:
            async for answer in answers:
                if isinstance(answer.update, Message):
                    message = answer.update
                elif answer.update is not None:
                    task = applied(task, answer.update)
                if request.configuration.return_immediately:
                    break
        wire = {"message": to_json(message)} if message else {"task": to_json(task)}
        return parse_lenient(wire, pb.SendMessageResponse())

    async def send_message_streaming(
        self,
        request: pb.SendMessageRequest,
        *,
        context: ClientCallContext | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> AsyncGenerator[pb.StreamResponse]:
        """Send and yield each item."""
        params = _with_ids(request)
        task_id = params["message"]["taskId"]
        async with aclosing(self._items("SendStreamingMessage", params, task_id)) as answers:
            async for answer in answers:
                yield parse_lenient(answer.result, pb.StreamResponse())

    async def subscribe(
        self,
        request: pb.SubscribeToTaskRequest,
        *,
        context: ClientCallContext | None = None,  # noqa: ARG002 - the SDK's signature
    ) -> AsyncGenerator[pb.StreamResponse]:
        """The task as it is and then each item."""
        params = _params(request)
        async with aclosing(self._items("SubscribeToTask", params, request.id)) as answers:
            async for answer in answers:
                yield parse_lenient(answer.result, pb.StreamResponse())

    async def get_task(
        self, request: pb.GetTaskRequest, *, context: ClientCallContext | None = None
    ) -> pb.Task:
        """The task as the agent has it."""
        return await self._call("GetTask", request, pb.Task(), context, task_id=request.id)

    async def cancel_task(
        self, request: pb.CancelTaskRequest, *, context: ClientCallContext | None = None
    ) -> pb.Task:
        """Have the task stopped."""
        with _as_theirs():
            async with asyncio.timeout(context.timeout if context else None):
                task = await self._requester.cancel_task(self._agent, request.id)
        return parse_lenient(to_json(task), pb.Task())

    async def list_tasks(
        self, request: pb.ListTasksRequest, *, context: ClientCallContext | None = None
    ) -> pb.ListTasksResponse:
        """Our tasks there."""
        return await self._call("ListTasks", request, pb.ListTasksResponse(), context)

    async def create_task_push_notification_config(
        self, request: pb.TaskPushNotificationConfig, *, context: ClientCallContext | None = None
    ) -> pb.TaskPushNotificationConfig:
        """Asked for and mostly refused: push is for agents that cannot hold a connection."""
        made = pb.TaskPushNotificationConfig()
        return await self._call("CreateTaskPushNotificationConfig", request, made, context)

    async def get_task_push_notification_config(
        self, request: pb.GetTaskPushNotificationConfigRequest, *, context: ClientCallContext | None = None
    ) -> pb.TaskPushNotificationConfig:
        """One push configuration."""
        made = pb.TaskPushNotificationConfig()
        return await self._call("GetTaskPushNotificationConfig", request, made, context)

    async def list_task_push_notification_configs(
        self, request: pb.ListTaskPushNotificationConfigsRequest, *, context: ClientCallContext | None = None
    ) -> pb.ListTaskPushNotificationConfigsResponse:
        """All push configurations."""
        made = pb.ListTaskPushNotificationConfigsResponse()
        return await self._call("ListTaskPushNotificationConfigs", request, made, context)

    async def delete_task_push_notification_config(
        self, request: pb.DeleteTaskPushNotificationConfigRequest, *, context: ClientCallContext | None = None
    ) -> None:
        """Remove a push configuration."""
        method = "DeleteTaskPushNotificationConfig"
        await self._call(method, request, pb.TaskPushNotificationConfig(), context)

    async def get_extended_agent_card(
        self, request: pb.GetExtendedAgentCardRequest, *, context: ClientCallContext | None = None
    ) -> pb.AgentCard:
        """The card with more in it, or the one that is known when the agent has no other."""
        if not self._card.capabilities.extended_agent_card:
            return self._card
        return await self._call("GetExtendedAgentCard", request, pb.AgentCard(), context)

    async def close(self) -> None:
        """Nothing to close: the requester belongs to whoever made it."""

    async def _call(
        self,
        method: str,
        request: ProtobufMessage,
        made: T,
        context: ClientCallContext | None,
        *,
        task_id: str = "",
    ) -> T:
        with _as_theirs():
            async with asyncio.timeout(context.timeout if context else None):
                result = await self._requester.call(self._agent, method, _params(request), task_id=task_id)
        return parse_lenient(result, made)

    async def _items(self, method: str, params: Json, task_id: str) -> AsyncGenerator[Answer]:
        with _as_theirs():
            items = self._requester.items(self._agent, method, params, task_id=task_id)
            async with aclosing(items):
                async for answer in items:
                    yield answer


def _params(request: ProtobufMessage) -> Json:
    params: Json = MessageToDict(request)
    return params


def _with_ids(request: pb.SendMessageRequest) -> Json:
    params = _params(request)
    message = params.setdefault("message", {})
    for name in ("taskId", "contextId", "messageId"):
        message[name] = message.get(name) or str(uuid.uuid4())
    return params


@contextmanager
def _as_theirs() -> Iterator[None]:
    """Raise the SDK's own errors; those of the transport have none there."""
    try:
        yield
    except A2AError as exc:
        kind = None if exc.fault is None or exc.fault.transport else _ERRORS.get(exc.code)
        if kind is None:
            raise A2AClientError(f"{exc} ({exc.code})") from exc
        raise kind(str(exc)) from exc
    except (NoReply, TimeoutError) as exc:
        raise A2AClientTimeoutError(str(exc) or "no reply in time") from exc
