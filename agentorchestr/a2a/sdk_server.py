"""An agent written with the server side of ``a2a-sdk``, served over MQTT.

Needs the extra ``agentorchestr[a2a]``; nothing else of the product imports this module.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

from a2a.auth.user import User
from a2a.server.agent_execution.agent_executor import AgentExecutor
from a2a.server.context import ServerCallContext
from a2a.server.events.event_queue import Event
from a2a.server.request_handlers.default_request_handler_v2 import DefaultRequestHandlerV2
from a2a.server.request_handlers.request_handler import RequestHandler
from a2a.server.tasks.inmemory_task_store import InMemoryTaskStore
from a2a.types import a2a_pb2 as pb

from agentorchestr.a2a.card import CardPublisher
from agentorchestr.a2a.card_json import BINDING_URI
from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.handler import Moved, Step, failed
from agentorchestr.a2a.limits import PROFILE_LIMITS, ResponderLimits
from agentorchestr.a2a.properties import PROTOCOL_VERSION
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.sdk_values import as_json, errors_as_ours, sdk_message, steps_of
from agentorchestr.a2a.store import FolderTaskStore
from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.a2a.tasks import Json, Task
from agentorchestr.a2a.tokens import Gate
from agentorchestr.a2a.topics import PROFILE_TOPICS, Topics
from agentorchestr.a2a.turns import ASKER
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import Address
from agentorchestr.paths import write_private
from agentorchestr.swarm.card_wire import BINDINGS

logger = logging.getLogger(__name__)

IDS_FILE = "sdk-ids"


@asynccontextmanager
async def serve_sdk(
    transport: Transport,
    me: Address,
    agent: RequestHandler | AgentExecutor,
    card: pb.AgentCard,
    *,
    broker_url: str = "mqtt://localhost",
    folder: Path | None = None,
    clock: Clock = SYSTEM_CLOCK,
    topics: Topics = PROFILE_TOPICS,
    limits: ResponderLimits = PROFILE_LIMITS,
    gate: Gate | None = None,
) -> AsyncIterator[Responder]:
    """Serve *agent* as *me* over *transport*, a connection of its own that the caller made.

    An ``AgentExecutor`` gets the SDK's default handler with tasks in memory; bring a ``RequestHandler`` for
    anything else. *card* is shown on the bus with MQTT as an interface (``card_on_bus``; make the will of
    the connection with it). With *folder* the tasks outlive this process: a repeated request starts nothing
    new, and a question can be answered after a restart if the handler's own store bears that.
    """
    async with AsyncExitStack() as stack:
        handler = agent
        if isinstance(handler, AgentExecutor):
            made = DefaultRequestHandlerV2(handler, InMemoryTaskStore(), card)
            stack.push_async_callback(made.aclose)
            handler = made
        shown = card_on_bus(card, me, broker_url=broker_url, topics=topics)
        board = await stack.enter_async_context(Switchboard(transport))
        responder = Responder(
            board.branch(),
            me,
            SdkAgent(handler, streaming=card.capabilities.streaming, folder=folder),
            store=None if folder is None else FolderTaskStore(folder),
            card=CardPublisher(board.branch(), me, shown, clock=clock, topics=topics),
            clock=clock,
            topics=topics,
            limits=limits,
            output_modes=tuple(card.default_output_modes),
            gate=gate,
        )
        yield await stack.enter_async_context(responder)


def card_on_bus(
    card: pb.AgentCard, me: Address, *, broker_url: str = "mqtt://localhost", topics: Topics = PROFILE_TOPICS
) -> Json:
    """*card* as JSON with the interfaces of the MQTT binding in front, and where requests are read.

    Push notifications and an extended card, which this binding does not offer, are taken out of it.
    """
    shown = as_json(card)
    ours: list[Json] = [
        {"url": broker_url, "protocolBinding": binding, "protocolVersion": PROTOCOL_VERSION}
        for binding in BINDINGS
    ]
    shown["supportedInterfaces"] = [*ours, *shown.get("supportedInterfaces", [])]
    able = shown.setdefault("capabilities", {})
    able |= {"streaming": True, "pushNotifications": False, "extendedAgentCard": False}
    where = {
        "uri": BINDING_URI,
        "description": "A2A over MQTT 5",
        "params": {"requestTopic": topics.request(me)},
    }
    able["extensions"] = [*able.get("extensions", []), where]
    return shown


class Asker(User):
    """Who asked, by the reply topic that was named; nothing proves it."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def is_authenticated(self) -> bool:
        """Never: who reads the answers is known, not who asked."""
        return False

    @property
    def user_name(self) -> str:
        """The address that reads the answers."""
        return self._name


class SdkAgent:
    """Has the tasks of a responder worked on by a handler of the SDK: an ``AgentHandler``.

    The SDK makes its own task ids, the profile has the requester make them; both are kept.
    """

    def __init__(self, handler: RequestHandler, *, streaming: bool, folder: Path | None) -> None:
        self._handler = handler
        self._streaming = streaming
        self._file = None if folder is None else folder / IDS_FILE
        self._theirs: dict[str, str] = _read_ids(self._file)

    async def start(self, task: Task) -> AsyncGenerator[Step]:
        """Send the newest turn to the handler and tell what comes."""
        turn = sdk_message(task.turns[-1], task_id=self._theirs.get(task.id, ""), context_id=task.context_id)
        step: Step | None = None
        with errors_as_ours():
            async with aclosing(self._events(pb.SendMessageRequest(message=turn), task)) as events:
                async for event in events:
                    self._note(task.id, event.id if isinstance(event, pb.Task) else event.task_id)
                    for step in steps_of(event):
                        yield step
        if not (isinstance(step, Moved) and step.state.ends_stream):
            yield failed("the agent ended its work and left the task open")
        elif step.state.terminal:
            self._note(task.id, "")

    async def cancel(self, task: Task) -> None:
        """Cancel it there. Raises ``A2AError`` when the agent cannot."""
        theirs = self._theirs.get(task.id)
        if theirs is None:
            raise A2AError(Fault.TASK_NOT_CANCELABLE, "the agent has not begun with it")
        with errors_as_ours():
            await self._handler.on_cancel_task(pb.CancelTaskRequest(id=theirs), _context(task))

    async def _events(self, request: pb.SendMessageRequest, task: Task) -> AsyncGenerator[Event]:
        if not self._streaming:
            yield await self._handler.on_message_send(request, _context(task))
            return
        stream = self._handler.on_message_send_stream(request, _context(task))
        async with aclosing(stream) as events:
            async for event in events:
                yield event

    def _note(self, task_id: str, theirs: str) -> None:
        """Keep their id of a task; empty: it is over."""
        known = self._theirs.pop(task_id, "")
        if theirs:
            self._theirs[task_id] = theirs
        if known != theirs and self._file is not None:
            write_private(self._file, json.dumps(self._theirs))


def _context(task: Task) -> ServerCallContext:
    return ServerCallContext(user=Asker(str((task.metadata or {}).get(ASKER, ""))))


def _read_ids(file: Path | None) -> dict[str, str]:
    try:
        found = {} if file is None else json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        logger.warning("ids of tasks not read", extra={"file": str(file)})
        return {}
    return {str(ours): str(theirs) for ours, theirs in found.items()}
