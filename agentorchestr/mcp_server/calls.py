"""One way in for every tool call, whatever brought it: who may call what, with which arguments."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager

import anyio
from pydantic import ValidationError

from agentorchestr.mcp_server.lead_tools import LEAD_TOOLS
from agentorchestr.mcp_server.mail_tools import MAIL_TOOLS
from agentorchestr.mcp_server.replies import (
    FORBIDDEN,
    NO_SUCH_TOOL,
    SESSION_IS_ENDING,
    Answer,
    answered,
    bad_arguments,
    one_line,
)
from agentorchestr.mcp_server.tool import Tool, Wait
from agentorchestr.mcp_server.worker_tools import WORKER_TOOLS
from agentorchestr.supervisor.desk import Desk, Principal, PrincipalKind, Reply

logger = logging.getLogger(__name__)

TOOLS: Mapping[PrincipalKind, Mapping[str, type[Tool]]] = {
    PrincipalKind.LEAD: {tool.name: tool for tool in (*LEAD_TOOLS, *MAIL_TOOLS)},
    PrincipalKind.WORKER: {tool.name: tool for tool in (*WORKER_TOOLS, *MAIL_TOOLS)},
    PrincipalKind.CONTROL: {},
}
SHOWN_CHARS = 40


class Calls:
    """The tool calls under way. ``running`` has to be entered around the life of the app."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._acts: asyncio.TaskGroup | None = None
        self._open_acts: set[asyncio.Task[Answer]] = set()
        self._waits: set[anyio.CancelScope] = set()
        self._ending = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the acts that their callers left alive until they end, or the app does."""
        async with asyncio.TaskGroup() as group:
            self._acts = group
            yield
            self._acts = None
            for act in self._open_acts:
                act.cancel()

    def end_waits(self) -> None:
        """Let every long poll answer that the session is ending, and refuse new ones."""
        self._ending = True
        for scope in tuple(self._waits):
            scope.cancel()

    async def call(self, principal: Principal, name: str, arguments: Mapping[str, object] | None) -> Answer:
        """Perform the tool *name* for *principal*; every failure is an answer, too."""
        tool = TOOLS[principal.kind].get(name)
        if tool is None:
            return _not_yours(principal, name)
        try:
            call = tool.read(arguments)
        except ValidationError as exc:
            # A call with a slip in it shows a living turn all the same.
            await answered(self._seen(principal, tool), during=tool.name)
            return bad_arguments(tool.name, exc, known=tool.model_fields)
        within = call.within(principal.wait_limit_s) if isinstance(call, Wait) else call
        return await (self._wait if tool.ends_with_caller else self._act)(principal, within)

    async def _act(self, principal: Principal, call: Tool) -> Answer:
        """Run to the end even when the caller leaves: half an act helps nobody, and a retry asks again."""
        if self._acts is None:
            return SESSION_IS_ENDING
        act = self._acts.create_task(answered(self._perform(principal, call), during=call.name))
        self._open_acts.add(act)
        act.add_done_callback(self._open_acts.discard)
        return await asyncio.shield(act)

    async def _wait(self, principal: Principal, call: Tool) -> Answer:
        """End with the caller; what was set going meanwhile goes on and ends in an event."""
        if self._ending:
            return SESSION_IS_ENDING
        with anyio.CancelScope() as scope:
            self._waits.add(scope)
            try:
                return await answered(self._perform(principal, call), during=call.name)
            finally:
                self._waits.discard(scope)
        return SESSION_IS_ENDING

    async def _perform(self, principal: Principal, call: Tool) -> Reply:
        await self._desk.tool_called(principal, call.name)
        return await call.perform(self._desk, principal)

    async def _seen(self, principal: Principal, tool: type[Tool]) -> Reply:
        await self._desk.tool_called(principal, tool.name)
        return {}


def _not_yours(principal: Principal, name: str) -> Answer:
    own = ", ".join(TOOLS[principal.kind]) or "none"
    for kind, tools in TOOLS.items():
        if name in tools:
            return Answer(
                f"{name} is a tool of the {kind}, not of a {principal.kind}",
                hint=f"Your tools: {own}",
                status=FORBIDDEN,
            )
    shown = one_line(name)
    shown = shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"
    return Answer(f"there is no tool {shown!r}", hint=f"Your tools: {own}", status=NO_SUCH_TOOL)


async def ready(desk: Desk, principal: Principal, *, client: str) -> None:
    """Tell the core that *principal* has asked for its tools; a fault in it never fails the listing."""

    async def told() -> Reply:
        await desk.tools_listed(principal, client=client)
        return {}

    asked: Awaitable[Reply] = told()
    await answered(asked, during="tools/list")
