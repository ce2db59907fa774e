"""Run the app on a socket that is bound already, and end it without noise."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette

from agentorchestr.errors import OrchestrError
from agentorchestr.mcp_server.calls import Calls
from agentorchestr.mcp_server.traffic import OpenRequests

DRAIN_S = 0.5
"""How long requests may take to end by themselves once the session ends; long polls answer at once."""
# uvicorn's own limit, for connections whose peer does not read its answer. Both add up to under 2 s.
CLOSE_S = 1


def bind_loopback(port: int = 0) -> socket.socket:
    """Listen on 127.0.0.1:*port* (0: a free one), so that the port is known before anything is served.

    Raises ``OSError`` when the port is taken. It listens at once: a port that is only bound could still
    be taken by another user's process.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


async def serve(
    app: Starlette,
    sock: socket.socket,
    *,
    started: asyncio.Event | None = None,
    websockets: Mapping[str, Any] | None = None,
) -> None:
    """Serve *app* on *sock* until cancelled; then end every request within 2 s and close *sock*.

    *started* is set once requests are taken; *websockets* are uvicorn's options for them, and without there
    are none. Signal handlers stay with the caller. Long polls answer that the session is ending, other
    requests get half a second to end by themselves.
    """
    # Connections inherit it. A reply in two writes would else wait 40 ms for the peer's delayed ACK.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        http="h11",
        lifespan="on",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=CLOSE_S,
        **(websockets or {"ws": "none"}),
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    try:
        await _start(server, sock)
        if started is not None:
            started.set()
        # uvicorn's own loop wakes ten times a second to look at a flag; an idle session shall not.
        await asyncio.Event().wait()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(server, app, sock)


async def _start(server: uvicorn.Server, sock: socket.socket) -> None:
    try:
        await server.startup(sockets=[sock])
    except SystemExit as exc:
        raise OrchestrError("the local HTTP app did not start", hint="see the session's log") from exc


async def _end(server: uvicorn.Server, app: Starlette, sock: socket.socket) -> None:
    calls, requests = app.state.calls, app.state.requests
    assert isinstance(calls, Calls)  # noqa: S101 - narrows what the app carries
    assert isinstance(requests, OpenRequests)  # noqa: S101 - the same
    calls.end_waits()
    if not server.started:
        sock.close()
        return
    for listener in server.servers:
        listener.close()
    await requests.drain(within_s=DRAIN_S)
    await server.shutdown(sockets=[sock])
