"""One connection of an a2a-hub client: who it is, what it asks, and what it may not."""

import asyncio
import logging
from collections.abc import AsyncIterator

from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import OrchestrError
from agentorchestr.hub.client import Client
from agentorchestr.hub.frames import (
    UNKNOWN,
    BadFrame,
    Frame,
    FrameType,
    HubFault,
    Registration,
    error_frame,
    read_frame,
    read_payload,
)
from agentorchestr.hub.hub import ClosableLink, Hub, Seat

REGISTERS_S = 30.0
BAD_IN_A_ROW = 100
ASKED_PER_S, ASKED_AT_ONCE = 100.0, 1000.0
"""What starts new work or a search; results and heartbeats are never refused."""
READ_PER_S, READ_AT_ONCE = 3000.0, 6000.0
PACE_S = 0.1
NOT_COUNTED = frozenset({FrameType.RESULT, FrameType.HEARTBEAT})
TOKEN = "token"  # noqa: S105 - the name of a field

logger = logging.getLogger(__name__)


class Quota:
    """So many a second, and so many at once."""

    def __init__(self, per_s: float, at_once: float, clock: Clock) -> None:
        self._per_s = per_s
        self._at_once = self._left = at_once
        self._clock = clock
        self._at = clock.monotonic()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        now = self._clock.monotonic()
        self._left = min(self._left + (now - self._at) * self._per_s, self._at_once)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Talk:
    """Reads one client's texts and answers each that is not understood, not allowed or asks for an answer.

    *name* is whose token came with the connection; empty: it has to stand in the registration.
    """

    def __init__(self, hub: Hub, link: ClosableLink, *, name: str = "", clock: Clock = SYSTEM_CLOCK) -> None:
        self._hub = hub
        self._link = link
        self._name = name
        self._clock = clock
        self._limit = asyncio.timeout(REGISTERS_S)
        self._seat: Seat | None = None
        self._client: Client | None = None
        self._asked = Quota(ASKED_PER_S, ASKED_AT_ONCE, clock)
        self._read = Quota(READ_PER_S, READ_AT_ONCE, clock)
        self._bad = 0

    async def run(self, texts: AsyncIterator[str]) -> None:
        """Talk until the client leaves."""
        try:
            async with self._limit:
                async for text in texts:
                    await self._take(text)
                    if self._bad >= BAD_IN_A_ROW:
                        await self._link.close("too many messages that are none")
                        return
        except TimeoutError:
            await self._link.close(f"no registration within {REGISTERS_S:g} s")
        finally:
            if self._seat is not None:
                self._seat.leave()

    async def _take(self, text: str) -> None:
        while not self._read.take():
            await self._clock.pause(PACE_S)
        try:
            frame = read_frame(text)
        except BadFrame as exc:
            self._bad += 1
            await self._link.send(error_frame(str(exc), to=self._id, frame_id=exc.frame_id))
            return
        self._bad = 0
        try:
            answer = await self._answer(frame)
        except HubFault as exc:
            answer = frame.refusal(exc)
        except OrchestrError as exc:
            answer = frame.refusal(HubFault(str(exc), hint=exc.hint))
        if answer is not None:
            await self._link.send(answer)

    @property
    def _id(self) -> str:
        return self._client.client_id if self._client else UNKNOWN

    async def _answer(self, frame: Frame) -> Frame | None:
        if frame.type not in NOT_COUNTED and not self._asked.take():
            raise HubFault("too many messages", retry_after_s=1.0, per_s=ASKED_PER_S)
        if frame.type is FrameType.REGISTER:
            return await self._register(frame)
        if self._client is None:
            raise HubFault("register first")
        if frame.sender not in {self._client.client_id, UNKNOWN}:
            raise HubFault(f"this connection is {self._client.client_id}, not {frame.sender}")
        if frame.type is FrameType.DEREGISTER:
            return await self._deregister(frame)
        return await self._client.answer(frame)

    async def _register(self, frame: Frame) -> Frame:
        registration = read_payload(Registration, frame)
        name = self._name or self._hub.tokens.name_in(str(registration.metadata.pop(TOKEN, "")))
        registration.metadata.pop(TOKEN, None)
        if not name:
            raise HubFault("no valid token", hint="agentorchestr bus hub-token NAME; see docs/bus.md")
        if self._client is not None and self._client.client_id != frame.sender:
            raise HubFault(f"this connection is {self._client.client_id}: deregister first")
        if self._client is not None and self._seat is not None and not self._seat.gone.is_set():
            await self._client.register(registration)
        else:
            # How long the broker takes is not the client's fault.
            self._limit.reschedule(None)
            try:
                self._seat, self._client = await self._hub.enter(frame.sender, name, registration, self._link)
            except OrchestrError:
                self._limit.reschedule(asyncio.get_running_loop().time() + REGISTERS_S)
                raise
        self._name = name
        return frame.answer(FrameType.REGISTER, {"status": "ok", "agent_id": frame.sender})

    async def _deregister(self, frame: Frame) -> Frame:
        if self._seat is not None:
            self._seat.leave()
            await self._seat.gone.wait()
        self._seat = self._client = None
        return frame.answer(FrameType.DEREGISTER, {"status": "ok"})
