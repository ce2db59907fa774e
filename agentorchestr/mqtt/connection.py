"""An agent's connection to a broker: a ``Transport`` that comes back by itself."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import BusError, CarrierGone, CarrierRefused, OrchestrError
from agentorchestr.model.carrier import Delivered, Incoming, Properties, Will
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.hello import Hello, Welcome
from agentorchestr.mqtt.link import Link, Received
from agentorchestr.mqtt.properties import NONE
from agentorchestr.process import offload

logger = logging.getLogger(__name__)

SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STEADY_S = 1.0
"""A connection that held this long was a good one: the next pause is a short one again."""
TICKS = 4
"""Looks at the keepalive within its time."""


class MqttConnection:
    """A ``Transport`` over MQTT 5, on the loop it is entered in; no thread serves it.

    Entering waits for the first answer: it raises ``CarrierRefused`` when the broker says no, and goes on
    without a connection when there is no broker now. After that it reconnects for ever. *session_expiry_s*
    is how long the broker keeps what comes in while we are away; 0 keeps nothing. *revive* is run in a thread
    before a lost connection is tried again, e.g. to start a private broker that died.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        client_id: str,
        login: Login | None,
        will: Will | None,
        session_expiry_s: int = 86400,
        keepalive_s: int = 20,
        revive: Callable[[], object] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.endpoint = endpoint
        self._hello = Hello(client_id, login, will, session_expiry_s, keepalive_s)
        self._revive = revive
        self._clock = clock
        self._filters: dict[str, None] = {}
        self._link: Link | None = None
        self.trouble: BusError | None = None
        """Why the last try to connect failed; None after one that did not."""
        self._connected = asyncio.Event()
        self._incoming: asyncio.Queue[Received | None] = asyncio.Queue()

    @property
    def connected(self) -> bool:
        """Whether a publish would go out now."""
        return self._link is not None and not self._link.ended.is_set()

    @property
    def welcome(self) -> Welcome | None:
        """What the broker said of itself; None while there is no connection."""
        return self._link.welcome if self._link is not None else None

    async def __aenter__(self) -> Self:
        tls = self.endpoint.tls
        self._tls = tls.context() if tls is not None else None
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._keeper = self._tasks.create_task(self._keep_connected(first))
        try:
            await first
        except BaseException as exc:
            await self._stop(exc)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop(exc)

    async def _stop(self, exc: BaseException | None) -> None:
        self._keeper.cancel()
        link = self._link
        self._gone()
        try:
            if link is not None:
                await link.leave()
        finally:
            self._incoming.put_nowait(None)
            # Only a cancellation matters to the group; any other error of the body is not its own.
            cancelled = exc if isinstance(exc, asyncio.CancelledError) else None
            await self._tasks.__aexit__(type(cancelled) if cancelled else None, cancelled, None)

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        properties: Properties = NONE,
        retain: bool = False,
    ) -> Delivered:
        """Publish at QoS 1 and wait for the answer; many may wait at once.

        Raises ``CarrierGone`` when there is no connection or it breaks before the answer.
        """
        if self._link is None:
            raise CarrierGone(f"there is no connection to {self.endpoint} now")
        return await self._link.publish(topic, payload, properties, retain=retain)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1 now, or with the next connection when there is none, and after each reconnect.

        Raises ``CarrierRefused``; a refused filter is not asked for again.
        """
        self._filters.update(dict.fromkeys(filters))
        if self._link is None:
            return
        try:
            refused = await self._link.subscribe(filters, retained=True)
        except CarrierGone:
            return  # the next connection asks for it
        for one in refused:
            self._filters.pop(one, None)
        if refused:
            raise CarrierRefused(f"{self.endpoint} refused to subscribe {', '.join(refused)}")

    async def messages(self) -> AsyncIterator[Incoming]:
        """Everything that comes in, in order, for one reader; ends when the connection is left."""
        while (message := await self._incoming.get()) is not None:
            yield message
        self._incoming.put_nowait(None)

    async def wait_connected(self, *, timeout_s: float) -> bool:
        """Whether there is a connection within *timeout_s*."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._connected.wait()
        except TimeoutError:
            return False
        return True

    def cut(self, *, stay_away: bool = False) -> None:
        """Break the connection without a word, as the end of a process would; for probes and tests.

        With *stay_away* it does not come back.
        """
        if stay_away:
            self._keeper.cancel()
        if self._link is not None:
            self._link.cut("cut")
        self._gone()

    def _gone(self) -> None:
        self._link = None
        self._connected.clear()

    async def _keep_connected(self, first: asyncio.Future[None]) -> None:
        pause_s = SHORTEST_PAUSE_S
        while True:
            began = self._clock.monotonic()
            try:
                await self._live_once(first)
            except BusError as exc:
                if isinstance(exc, CarrierRefused) and not first.done():
                    first.set_exception(exc)
                    return
                self.trouble = exc
                logger.warning("no connection to the broker", extra={"detail": f"{self.endpoint}: {exc}"})
            if not first.done():
                first.set_result(None)
            if self._clock.monotonic() - began > STEADY_S:
                pause_s = SHORTEST_PAUSE_S
            await self._clock.pause(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - spreads agents, hides nothing
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            await self._call_for_help()

    async def _call_for_help(self) -> None:
        if self._revive is None:
            return
        try:
            await offload(self._revive)
        except OrchestrError as exc:
            logger.warning("broker not revived", extra={"detail": f"{self.endpoint}: {exc}"})

    async def _live_once(self, first: asyncio.Future[None]) -> None:
        """One connection from its begin to its end."""
        link = Link(self.endpoint, self._hello, tls=self._tls, on_message=self._incoming.put_nowait)
        await link.open()
        try:
            await self._subscribe_again(link)
        except BaseException:
            link.cut("given up")
            raise
        self._link = link
        self.trouble = None
        self._connected.set()
        if not first.done():
            first.set_result(None)
        # Cancelled here, the link is still ours to say goodbye on.
        while not link.ended.is_set():
            await self._tick(link)
        if self._link is link:
            self._gone()
        raise CarrierGone(f"the connection to {self.endpoint} broke: {link.why}")

    async def _subscribe_again(self, link: Link) -> None:
        """Ask for every filter; more may be added meanwhile."""
        asked: set[str] = set()
        while todo := [one for one in self._filters if one not in asked]:
            for refused in await link.subscribe(todo, retained=not link.welcome.session_present):
                logger.warning("subscription refused", extra={"topic": refused})
            asked.update(todo)

    async def _tick(self, link: Link) -> None:
        try:
            async with asyncio.timeout(self._hello.keepalive_s / TICKS):
                await link.ended.wait()
        except TimeoutError:
            link.tick()
