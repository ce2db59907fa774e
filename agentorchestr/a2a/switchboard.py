"""Several readers on one connection: an agent has one client id, so one connection, for all that it does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from agentorchestr.a2a.background import Background
from agentorchestr.model.carrier import Delivered, Incoming, Properties, Transport
from agentorchestr.swarm.topics import matches

NONE = Properties()
_SHARE = "$share/"


class Switchboard:
    """Hands out branches of a transport; enter it with ``async with``, after that transport.

    A message goes to each branch that subscribed to it, and is acknowledged when all of these have done so.
    What nobody subscribed to comes from a kept session of an earlier process, and is let go.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._branches: list[Branch] = []
        self._stack = AsyncExitStack()

    def branch(self) -> "Branch":
        """A new reader."""
        branch = Branch(self.transport)
        self._branches.append(branch)
        return branch

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(Background(self._read()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    async def _read(self) -> None:
        async for incoming in self.transport.messages():
            takers = [branch for branch in self._branches if branch.wants(incoming.topic)]
            if not takers:
                incoming.acknowledge()
            shared = _Shared(incoming, len(takers))
            for branch in takers:
                branch.put(_Copy(shared))
        for branch in self._branches:
            branch.put(None)


class Branch:
    """A ``Transport`` that reads what was subscribed to through it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._filters: dict[str, None] = {}
        self._incoming: asyncio.Queue[Incoming | None] = asyncio.Queue()

    @property
    def connected(self) -> bool:
        """Whether a publish would go out now."""
        return self._transport.connected

    async def publish(
        self, topic: str, payload: bytes, *, properties: Properties = NONE, retain: bool = False
    ) -> Delivered:
        """Publish on the common connection."""
        return await self._transport.publish(topic, payload, properties=properties, retain=retain)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe, for this branch. Raises ``CarrierRefused``."""
        # First ours, then the broker's: what it sends at once must find its reader.
        self._filters.update(dict.fromkeys(filters))
        await self._transport.subscribe(filters)

    async def messages(self) -> AsyncIterator[Incoming]:
        """Everything this branch subscribed to, in order, for one reader."""
        while (message := await self._incoming.get()) is not None:
            yield message
        self._incoming.put_nowait(None)

    async def wait_connected(self, *, timeout_s: float) -> bool:
        """Whether there is a connection within *timeout_s*."""
        return await self._transport.wait_connected(timeout_s=timeout_s)

    def wants(self, topic: str) -> bool:
        """Whether one of the filters takes in *topic*."""
        return any(matches(_plain(wanted), topic) for wanted in self._filters)

    def put(self, message: Incoming | None) -> None:
        """Have *message* read next; None is the end."""
        self._incoming.put_nowait(message)


@dataclass
class _Shared:
    incoming: Incoming
    waiting: int


class _Copy:
    """A message that several may have to acknowledge."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._done = False

    @property
    def topic(self) -> str:
        return self._shared.incoming.topic

    @property
    def payload(self) -> bytes:
        return self._shared.incoming.payload

    @property
    def properties(self) -> Properties:
        return self._shared.incoming.properties

    @property
    def retained(self) -> bool:
        return self._shared.incoming.retained

    def acknowledge(self) -> None:
        if self._done:
            return
        self._done = True
        self._shared.waiting -= 1
        if self._shared.waiting == 0:
            self._shared.incoming.acknowledge()


def _plain(wanted: str) -> str:
    return wanted.split("/", 2)[2] if wanted.startswith(_SHARE) else wanted
