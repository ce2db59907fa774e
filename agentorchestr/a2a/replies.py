"""What a responder sends back: one answer, or a stream that shows it lives while nothing new is told."""

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.codec import MESSAGE_BYTES, RpcId, error_payload, item, result_payload
from agentorchestr.a2a.errors import A2AError
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import StatusUpdate, Task, TaskStatus, Update, ends_stream
from agentorchestr.a2a.waiting import within
from agentorchestr.clock import Clock
from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Delivered, Transport

logger = logging.getLogger(__name__)

RECONNECT_S = 60.0
"""How long a reply waits for the connection to come back; the requester has GetTask for the rest."""


def stamp(seconds: float) -> str:
    """A time of A2A: UTC, with Z and milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class ReplyPath:
    """Where the answers to one request go, and how they name it. The request's token is not kept."""

    topic: str
    correlation: bytes
    rpc_id: RpcId
    asked_mode: str = ""
    """The artifact mode the requester wished for; we answer in JSON whatever it is."""
    pool: str = ""
    """The pool that was asked; empty when it was the agent itself."""


@dataclass
class Stream:
    """The items one request is still to get."""

    path: ReplyPath
    task: Callable[[], Task]
    items: "asyncio.Queue[tuple[Update | A2AError, int]]" = field(default_factory=asyncio.Queue)

    def tell(self, update: Update | A2AError, number: int) -> None:
        """Have *update*, the *number*-th item of its task, sent in its turn; nothing follows an error."""
        self.items.put_nowait((update, number))


class Outlet:
    """Publishes the answers of one responder."""

    def __init__(self, transport: Transport, agent_id: str, *, clock: Clock, heartbeat_s: float) -> None:
        self._transport = transport
        self._agent_id = agent_id
        self._clock = clock
        self._heartbeat_s = heartbeat_s

    async def answer(self, path: ReplyPath, result: object) -> bool:
        """Send the one answer of a request. Whether it went out."""
        return await self._send(path, result_payload(path.rpc_id, result))

    async def refuse(self, path: ReplyPath, error: A2AError) -> bool:
        """Send an error. Whether it went out."""
        return await self._send(path, error_payload(path.rpc_id, error))

    async def serve(self, stream: Stream) -> None:
        """Send the items of *stream* until the one that ends it; a heartbeat after each silence."""
        going = True
        while going:
            told = await within(self._clock, self._heartbeat_s, stream.items.get())
            update, number = told or (self._heartbeat(stream.task()), None)
            if isinstance(update, A2AError):
                await self.refuse(stream.path, update)
                return
            if number is None and ends_stream(update):
                # The task ended while the wait ran out: its last item is in the queue.
                continue
            payload = result_payload(stream.path.rpc_id, item(update))
            going = await self._send(stream.path, payload, number=number) and not ends_stream(update)

    async def announce(self, topic: str, update: StatusUpdate) -> None:
        """Tell whoever listens to our events; nobody waits for it."""
        payload = json.dumps(item(update), separators=(",", ":")).encode()
        try:
            await self._transport.publish(topic, payload, properties=names.json_properties())
        except (CarrierGone, CarrierRefused) as exc:
            logger.debug("event not published", extra={"topic": topic, "reason": str(exc)})

    def _heartbeat(self, task: Task) -> StatusUpdate:
        status = TaskStatus(task.state, timestamp=stamp(self._clock.now()))
        return StatusUpdate(task.id, task.context_id, status, metadata={"heartbeat": True})

    async def _send(self, path: ReplyPath, payload: bytes, *, number: int | None = None) -> bool:
        properties = names.json_properties(correlation=path.correlation, user=self._user(path, number))
        if len(payload) > MESSAGE_BYTES:
            logger.warning("large reply", extra={"topic": path.topic, "payload_bytes": len(payload)})
        while True:
            try:
                delivered = await self._transport.publish(path.topic, payload, properties=properties)
            except CarrierGone:
                if await self._transport.wait_connected(timeout_s=RECONNECT_S):
                    continue
                return False
            except CarrierRefused:
                return False
            return delivered is not Delivered.REFUSED

    def _user(self, path: ReplyPath, number: int | None) -> tuple[tuple[str, str], ...]:
        user: tuple[tuple[str, str], ...] = (
            (names.RESPONDER, self._agent_id),
            (names.VERSION, names.PROTOCOL_VERSION),
        )
        if path.asked_mode:
            user = (*user, (names.ARTIFACT_MODE, "json"))
        return user if number is None else (*user, (names.ITEM_NUMBER, str(number)))


def new_id() -> str:
    """An id for something of ours: a context, a message."""
    return str(uuid.uuid4())


def submitted(task_id: str, context_id: str, *, at: float) -> Task:
    """A task that was just taken."""
    return Task(task_id, TaskStatus(TaskState.SUBMITTED, timestamp=stamp(at)), context_id=context_id)
