"""The clients that are registered: each has one agent on the bus for as long as it is connected."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol, Self

from agentorchestr.bus.bus import Bus
from agentorchestr.bus.names import address_of
from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.hub.client import PROGRAM, Client, description_of, skills_of
from agentorchestr.hub.frames import RESERVED, HubFault, Registration
from agentorchestr.hub.handing import Link
from agentorchestr.hub.tokens import HubTokens, may_be
from agentorchestr.paths import Paths

CLIENTS = 100
SLOTS = 64
"""Tasks that may wait at one client; it does them one after another."""

logger = logging.getLogger(__name__)


class ClosableLink(Link, Protocol):
    """A link that the hub may end."""

    async def close(self, why: str) -> None:
        """End the connection."""
        ...


class Seat:
    """One client's agent, from its registration to its end."""

    def __init__(self, bus: Bus, link: ClosableLink, registration: Registration) -> None:
        self._bus = bus
        self._link = link
        self._registration = registration
        self._leave = asyncio.Event()
        self._why = ""
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()

    def leave(self, why: str = "") -> None:
        """Begin to end it; with *why*, the client is told and its connection closed."""
        self._why = self._why or why
        self._leave.set()

    async def client(self) -> Client:
        """The client once its agent is on the bus. Raises what prevents that."""
        return await asyncio.shield(self._ready)

    async def keep(self) -> None:
        """Be on the bus until ``leave``."""
        try:
            await self._be_on_bus()
        except* OrchestrError as group:
            fault = group.exceptions[0]
            if not self._ready.done() and isinstance(fault, OrchestrError):
                self._ready.set_exception(fault)
                self._ready.exception()
            else:
                logger.exception("an a2a-hub client lost its agent", extra={"sender": str(self._bus.me)})
                self._why = f"the hub failed: {fault}"
        finally:
            self._ready.cancel()
            self.gone.set()
        if self._why:
            await self._link.close(self._why)

    async def _be_on_bus(self) -> None:
        async with self._bus as bus:
            client = Client(bus, self._link, self._registration)
            self._ready.set_result(client)
            async with asyncio.TaskGroup() as works:
                serving = works.create_task(client.serve())
                await self._leave.wait()
                serving.cancel()


class Hub:
    """Lets clients in, each under one id and never two under the same: ``async with hub``."""

    def __init__(self, env: Mapping[str, str], *, broker: str = "", login_file: Path | None = None) -> None:
        self.tokens = HubTokens(Paths.from_env(env))
        self._env = env
        self._broker = broker
        self._login_file = login_file
        self._seats: dict[str, Seat] = {}
        self._doors: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.__aexit__(None, None, None)

    async def enter(
        self, client_id: str, name: str, registration: Registration, link: ClosableLink
    ) -> tuple[Seat, Client]:
        """Let the holder of *name*'s token in as *client_id*, in the place of an earlier connection of it.

        Raises ``HubFault`` when it may not, and whatever keeps its agent off the bus.
        """
        if not may_be(name, client_id):
            raise HubFault(f"the token of {name} is not for {client_id}")
        if client_id in RESERVED:
            raise HubFault(f"no client can be called {client_id}")
        try:
            me = address_of(client_id)
        except UsageError as exc:
            raise HubFault(str(exc)) from exc
        async with self._doors[client_id]:
            before = self._seats.pop(client_id, None)
            if before is not None:
                before.leave("another connection registered with this id")
                await before.gone.wait()
            if len(self._seats) >= CLIENTS:
                raise HubFault(f"the hub is full: {CLIENTS} clients")
            bus = Bus(
                me,
                broker=self._broker,
                login_file=self._login_file,
                env=self._env,
                description=description_of(registration),
                skills=skills_of(registration),
                program=PROGRAM,
                slots=SLOTS,
            )
            seat = self._seats[client_id] = Seat(bus, link, registration)
            self._group.create_task(self._keep(client_id, seat))
            try:
                return seat, await seat.client()
            except asyncio.CancelledError:
                seat.leave()
                raise

    async def _keep(self, client_id: str, seat: Seat) -> None:
        await seat.keep()
        if self._seats.get(client_id) is seat:
            del self._seats[client_id]

    def _end(self) -> None:
        for seat in self._seats.values():
            seat.leave("the hub ends")
