"""A small MCP server with a worker's first and last tool, for tests without the product."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer


@dataclass
class McpStub:
    """Serves ``get_brief`` and ``report_done``; ``lists`` counts how often the tools were asked for."""

    brief: str
    done: list[str] = field(default_factory=list)
    lists: int = 0

    def __post_init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(self._app(), log_level="critical", lifespan="on"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/mcp"

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(5)
        self._socket.close()

    def _app(self) -> "Counting":
        mcp = MCPServer("agentorchestr", log_level="CRITICAL")

        @mcp.tool()
        def get_brief() -> str:
            """Tell what to do."""
            return self.brief

        @mcp.tool()
        def report_done(summary: str) -> str:
            """Say that it is done."""
            self.done.append(summary)
            return "noted"

        return Counting(self, mcp.streamable_http_app(stateless_http=True))


class Counting:
    """An ASGI app that looks for ``tools/list`` in what passes through."""

    def __init__(self, stub: McpStub, app: Callable[..., Any]) -> None:
        self.stub, self.app = stub, app

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[..., Any]) -> None:
        async def watched() -> Any:
            event = await receive()
            self.stub.lists += b'"tools/list"' in event.get("body", b"")
            return event

        await self.app(scope, watched, send)
