"""The small MCP server of the real-agent tests, behind a bearer token."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.real_agents.mcp_stub import McpStub


@dataclass
class McpWithToken(McpStub):
    """Answers 401 without the token; ``listed_by`` holds what came along with each ``tools/list``."""

    token: str = ""
    listed_by: list[str] = field(default_factory=list)
    refused: int = 0

    def _app(self) -> Any:
        return Guard(self, super()._app())


class Guard:
    def __init__(self, stub: McpWithToken, app: Callable[..., Any]) -> None:
        self.stub, self.app = stub, app

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        if given != f"Bearer {self.stub.token}":
            self.stub.refused += 1
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return

        async def watched() -> Any:
            event = await receive()
            if b'"tools/list"' in event.get("body", b""):
                self.stub.listed_by.append(given)
            return event

        await self.app(scope, watched, send)
