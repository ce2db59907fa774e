"""The requests under way: read with a limit, ended when the caller leaves or the session ends."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentorchestr.mcp_server.guard import refused

BODY_BYTES = 1024 * 1024
DISCARD_BYTES = 16 * BODY_BYTES


class BodyTooLarge(Exception):
    """A request's body is over the limit; never leaves this module."""


class OpenRequests:
    """Every request that is being answered. One per app."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()

    @contextmanager
    def one(self) -> Iterator[anyio.CancelScope]:
        """Count a request from here to the end of the block, and be able to end it."""
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            self._none_left.clear()
            try:
                yield scope
            finally:
                self._scopes.discard(scope)
                if not self._scopes:
                    self._none_left.set()

    async def drain(self, *, within_s: float) -> None:
        """Let what is under way end by itself for *within_s*, then end the rest without a fault."""
        try:
            async with asyncio.timeout(within_s):
                await self._none_left.wait()
        except TimeoutError:
            for scope in tuple(self._scopes):
                scope.cancel()


@dataclass
class _Sender:
    """Remembers how far a response has got, so that it can be ended properly."""

    send: Send
    started: bool = False
    ended: bool = False

    async def __call__(self, message: Message) -> None:
        self.started = self.started or message["type"] == "http.response.start"
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self.send(message)

    async def end(self, scope: Scope, receive: Receive) -> None:
        """Close a response that was cut off: its own end if it had begun, else a plain 503."""
        if not self.started:
            await refused(503, "the session is ending")(scope, receive, self.send)
        elif not self.ended:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})


class Traffic:
    """ASGI middleware around the routes. The app below it gets the whole body in one message."""

    def __init__(self, app: ASGIApp, *, requests: OpenRequests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sender = _Sender(send)
        with self._requests.one() as request:
            try:
                await self._answer(scope, receive, sender)
            except BodyTooLarge:
                why = f"the body is over {BODY_BYTES} bytes"
                await refused(413, why, headers={"Connection": "close"})(scope, receive, sender)
        if request.cancelled_caught:
            await sender.end(scope, receive)

    async def _answer(self, scope: Scope, receive: Receive, sender: "_Sender") -> None:
        body = await _read_body(receive)
        if body is None:
            return
        gone = asyncio.Event()
        first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            if first:
                return first.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await _left(receive)
                gone.set()
                # A server says "disconnect" after a whole response, too; what follows it may end in peace.
                if not sender.ended:
                    group.cancel_scope.cancel()

            group.start_soon(watch)
            await self._app(scope, replay, sender)
            group.cancel_scope.cancel()


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body; None when the caller left while sending it. Raises ``BodyTooLarge``.

    What is over the limit is read on for a while and forgotten: a caller that is still sending when we
    close would get a reset instead of the 413.
    """
    body = bytearray()
    read_bytes, more = 0, True
    while more and read_bytes < DISCARD_BYTES:
        message = await receive()
        if message["type"] != "http.request":
            return None
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        read_bytes += len(piece)
        if read_bytes <= BODY_BYTES:
            body.extend(piece)
    if read_bytes > BODY_BYTES:
        raise BodyTooLarge
    return bytes(body)


async def _left(receive: Receive) -> None:
    """Return when the caller has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
