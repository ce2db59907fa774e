"""Where a2a-hub clients come in: a WebSocket on loopback. Host, Origin and token are checked first."""

import asyncio
import base64
import binascii
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from agentorchestr.hub.frames import Frame, error_frame
from agentorchestr.hub.hub import Hub
from agentorchestr.hub.talk import Talk

CLOSED_BY_US = 1008
CONNECTIONS = 256

logger = logging.getLogger(__name__)


class SocketLink:
    """The way back over one WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._open = True
        self._lock = asyncio.Lock()

    async def send(self, frame: Frame) -> bool:
        """Whether *frame* was put on its way; waits for a client that reads slowly."""
        async with self._lock:
            if self._open:
                try:
                    await self._socket.send_text(frame.text())
                except WebSocketDisconnect:
                    self._open = False
            return self._open

    async def close(self, why: str) -> None:
        """Tell the client *why*, and end the connection."""
        await self.send(error_frame(why))
        async with self._lock:
            if self._open:
                self._open = False
                with suppress(WebSocketDisconnect):
                    await self._socket.close(CLOSED_BY_US, why[:100])

    async def texts(self) -> AsyncIterator[str]:
        """What the client writes, until it leaves. What is no text becomes one that is no frame."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._open = False
                return
            yield message.get("text") or ""


class Door:
    """An ASGI app for WebSockets on 127.0.0.1:*port*; *hub* is entered by whoever serves it.

    Host is checked because a web page may reach a loopback port through a name of its own; Origin because
    a browser lets any page open a WebSocket. a2a-hub's clients send no Origin.
    """

    def __init__(self, hub: Hub, *, port: int) -> None:
        self._hub = hub
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one client in, and talk until it leaves."""
        socket = WebSocket(scope, receive, send)
        headers = Headers(scope=scope)
        refusal, name = self._look_at(headers)
        if refusal is not None:
            await socket.send_denial_response(refusal)
            return
        await socket.accept()
        link = SocketLink(socket)
        self._count += 1
        try:
            await Talk(self._hub, link, name=name).run(link.texts())
        finally:
            self._count -= 1
        await link.close("bye")

    def _look_at(self, headers: Headers) -> tuple[PlainTextResponse | None, str]:
        """Why this connection is refused, or whose token it shows; empty: none yet."""
        if [host.lower() for host in headers.getlist("host")] not in [[host] for host in self._hosts]:
            return PlainTextResponse("wrong Host header", 403), ""
        if "origin" in headers:
            return PlainTextResponse("no web page may connect", 403), ""
        if self._count >= CONNECTIONS:
            return PlainTextResponse("too many connections", 503), ""
        given = headers.getlist("authorization")
        name = self._hub.tokens.name_in(_token(given[0])) if len(given) == 1 else None
        if given and name is None:
            return PlainTextResponse("unknown token", 401, {"WWW-Authenticate": "Bearer"}), ""
        return None, name or ""


def _token(header: str) -> str:
    """The token of ``Bearer TOKEN``, or the password of ``Basic``: what ``ws://NAME:TOKEN@host`` sends."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "basic":
        with suppress(binascii.Error, UnicodeDecodeError):
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    return rest.strip() if scheme.lower() == "bearer" else ""
