"""Pools: one request topic, several agents, one of them takes each request.

Where the broker can share a subscription on the pool's topic, it chooses. Where it cannot, a dispatcher reads
the topic and passes each request on to one member; the member answers the requester itself.
Rules P1 to P10 of the checklist in ``docs/a2a.md``.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.background import Background
from agentorchestr.a2a.codec import BadRequest, error_payload, read_request
from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.topics import PROFILE_TOPICS, Pool, Topics
from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Delivered, Incoming, Properties, Transport
from agentorchestr.model.mail import Address

logger = logging.getLogger(__name__)

_ASSIGNED_KEPT = 10_000
Members = Callable[[], Iterable[Address]]


def member_filters(pools: Iterable[Pool], *, shared: bool, topics: Topics = PROFILE_TOPICS) -> list[str]:
    """What a member subscribes to beside its own topic: nothing where a dispatcher serves the pools."""
    return [topics.shared_request(pool) for pool in pools] if shared else []


def chosen(task_id: str, members: Iterable[Address]) -> Address | None:
    """The member for a task: the same one for the same task and members, whoever asks and whenever."""
    return max(members, key=lambda member: _weight(task_id, member), default=None)


class PoolDispatcher:
    """Passes the requests of a pool on to its members; enter it with ``async with``.

    *members* names those that can take a request now. A task stays with the member that got it. One
    dispatcher serves a pool: two would both pass a request on.
    """

    def __init__(
        self,
        transport: Transport,
        me: Address,
        pool: Pool,
        members: Members,
        *,
        topics: Topics = PROFILE_TOPICS,
    ) -> None:
        self._transport = transport
        self._me = me
        self._pool = pool
        self._members = members
        self._topics = topics
        self._assigned: OrderedDict[str, Address] = OrderedDict()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._transport.subscribe([self._topics.request(self._pool)])
        await self._stack.enter_async_context(Background(self._read()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    async def _read(self) -> None:
        async for incoming in self._transport.messages():
            if not incoming.retained:
                await self._pass_on(incoming)
            incoming.acknowledge()

    async def _pass_on(self, incoming: Incoming) -> None:
        task_id = _task_id(incoming.payload)
        member = self._member_for(task_id)
        if member is None:
            await self._refuse(incoming)
            return
        delivered = await self._publish(self._topics.request(member), incoming.payload, incoming.properties)
        if delivered is Delivered.NOBODY_THERE:
            # Not taken by anybody, so another member may have it when the requester tries again.
            self._assigned.pop(task_id, None)
        logger.debug("request passed on", extra={"topic": incoming.topic, "member": str(member)})

    def _member_for(self, task_id: str) -> Address | None:
        member = self._assigned.get(task_id) or chosen(task_id, self._members())
        if member is not None and task_id:
            self._assigned[task_id] = member
            if len(self._assigned) > _ASSIGNED_KEPT:
                self._assigned.popitem(last=False)
        return member

    async def _refuse(self, incoming: Incoming) -> None:
        """Nobody is there: say so at once, in our own name, as every pooled reply names its sender."""
        asked = incoming.properties
        if not asked.response_topic:
            return
        try:
            rpc_id = read_request(incoming.payload).id
        except BadRequest as exc:
            rpc_id = exc.rpc_id
        error = A2AError(Fault.RESPONDER_UNAVAILABLE, "no member of the pool is there now")
        properties = names.json_properties(
            correlation=asked.correlation, user=((names.RESPONDER, self._me.agent),)
        )
        await self._publish(asked.response_topic, error_payload(rpc_id, error), properties)

    async def _publish(self, topic: str, payload: bytes, properties: Properties) -> Delivered:
        try:
            return await self._transport.publish(topic, payload, properties=properties)
        except (CarrierGone, CarrierRefused) as exc:
            logger.info("request not passed on", extra={"topic": topic, "reason": str(exc)})
            return Delivered.REFUSED


def _task_id(payload: bytes) -> str:
    try:
        params = read_request(payload).params
    except BadRequest:
        return ""
    message = params.get("message")
    found = message.get("taskId") if isinstance(message, dict) else params.get("id")
    return found if isinstance(found, str) else ""


def _weight(task_id: str, member: Address) -> bytes:
    return hashlib.sha256(f"{task_id} {member}".encode()).digest()
