"""The tools as an MCP server over streamable HTTP, in every protocol version the SDK speaks.

No MCP session is kept: a client of 2026-07-28 has none, older ones do not need one, and so a restarted
supervisor on the same port goes on with clients that never noticed. The caller is known by its token.
"""

from typing import Any

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request

from agentorchestr import __version__
from agentorchestr.mcp_server.calls import TOOLS, Calls, ready
from agentorchestr.mcp_server.guard import PRINCIPAL
from agentorchestr.mcp_server.tool import input_schema
from agentorchestr.mcp_server.traffic import BODY_BYTES
from agentorchestr.supervisor.desk import Desk, Principal, PrincipalKind

Context = ServerRequestContext[Any, Request]
AGENT_CHARS = 120


def session_manager(desk: Desk, calls: Calls) -> StreamableHTTPSessionManager:
    """Build the MCP transport; its ``run()`` has to be entered around the life of the app."""
    listings = {kind: _listing(kind) for kind in TOOLS}

    async def list_tools(ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        principal, request = _caller(ctx)
        await ready(desk, principal, client=request.headers.get("user-agent", "")[:AGENT_CHARS])
        return listings[principal.kind]

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        principal, _ = _caller(ctx)
        answer = await calls.call(principal, params.name, params.arguments)
        text = types.TextContent(type="text", text=answer.line)
        return types.CallToolResult(content=[text], is_error=answer.is_error)

    server = Server(
        "agentorchestr",
        version=__version__,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        # Without it each call would run our tools/list, which tells the core that the agent is ready.
        get_tool_input_schema=lambda _name: None,
    )
    return StreamableHTTPSessionManager(server, stateless=True, max_request_body_size=BODY_BYTES)


def _caller(ctx: Context) -> tuple[Principal, Request]:
    """Whose request this is: the guard put it into the scope of this very request."""
    request = ctx.request
    if request is None:
        msg = "an MCP message came without its HTTP request"
        raise RuntimeError(msg)
    principal = request.scope[PRINCIPAL]
    assert isinstance(principal, Principal)  # noqa: S101 - narrows the type of a scope's value
    return principal, request


def _listing(kind: PrincipalKind) -> types.ListToolsResult:
    return types.ListToolsResult(
        tools=[
            types.Tool(name=tool.name, description=tool.about, input_schema=input_schema(tool))
            for tool in TOOLS[kind].values()
        ]
    )
