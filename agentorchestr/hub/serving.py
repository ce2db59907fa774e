"""The hub by itself: a small local app that only its clients' WebSockets reach."""

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from agentorchestr.errors import OrchestrError
from agentorchestr.hub.door import Door
from agentorchestr.hub.frames import FRAME_BYTES
from agentorchestr.hub.hub import Hub

CLOSE_S = 1
WEBSOCKETS: dict[str, Any] = {
    "ws": "websockets-sansio",
    "ws_max_size": FRAME_BYTES,
    "ws_per_message_deflate": False,
    "ws_ping_interval": 20.0,
    "ws_ping_timeout": 20.0,
}
"""How uvicorn speaks to clients; a larger message, and a ping without answer, end a connection."""


async def serve_hub(hub: Hub, sock: socket.socket, *, started: asyncio.Event | None = None) -> None:
    """Let clients in on *sock*, which is bound to loopback, until cancelled. *started*: they may come."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    app = Starlette(routes=[WebSocketRoute("/", Door(hub, port=sock.getsockname()[1]))])
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        http="h11",
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=CLOSE_S,
        **WEBSOCKETS,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    async with hub:
        try:
            await server.startup(sockets=[sock])
        except SystemExit as exc:
            raise OrchestrError("the hub did not start") from exc
        if started is not None:
            started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await server.shutdown(sockets=[sock])
