"""A scripted desk, and the real app in front of it on a real socket."""

import asyncio
import contextlib
import hmac
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from agentorchestr.model.facts import Recorded
from agentorchestr.supervisor.desk import LeadVerbs, MailVerbs, Principal, PrincipalKind, WorkerVerbs

LEAD_TOKEN = "lead-token"
WORKER_TOKEN = "worker-token"
OTHER_TOKEN = "other-token"
CONTROL_TOKEN = "control-token"
TOKENS = {
    LEAD_TOKEN: Principal("lead", PrincipalKind.LEAD, wait_limit_s=1.5),
    WORKER_TOKEN: Principal("w1", PrincipalKind.WORKER),
    OTHER_TOKEN: Principal("w2", PrincipalKind.WORKER),
    CONTROL_TOKEN: Principal("control", PrincipalKind.CONTROL),
}

Scripted = Callable[..., Awaitable[dict[str, object]]]


@dataclass
class FakeDesk:
    """Records every verb asked for; answers by script, else with who asked what."""

    tokens: dict[str, Principal] = field(default_factory=lambda: dict(TOKENS))
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    listed: list[tuple[str, str]] = field(default_factory=list)
    stopped_by: list[str] = field(default_factory=list)
    paused_by: list[str] = field(default_factory=list)
    scripts: dict[str, Scripted] = field(default_factory=dict)
    facts: list[Recorded] = field(default_factory=list)
    events_asked: list[tuple[int, float]] = field(default_factory=list)

    def principal_of(self, token: str) -> Principal | None:
        # As a real desk does; it raises for text outside ASCII.
        return next((one for known, one in self.tokens.items() if hmac.compare_digest(known, token)), None)

    async def tools_listed(self, principal: Principal, *, client: str) -> None:
        self.listed.append((principal.worker_id, client))

    async def tool_called(self, principal: Principal, tool: str) -> None:
        self.seen.append((principal.worker_id, tool))

    def lead(self, principal: Principal) -> Any:
        return _Verbs(self, principal, LeadVerbs)

    def worker(self, principal: Principal) -> Any:
        return _Verbs(self, principal, WorkerVerbs)

    def mail(self, principal: Principal) -> Any:
        return _Verbs(self, principal, MailVerbs)

    async def events(self, *, after: int, wait_s: float) -> list[Recorded]:
        self.events_asked.append((after, wait_s))
        return [one for one in self.facts if one.seq > after]

    async def pause(self, *, by: str) -> None:
        self.paused_by.append(by)

    async def stop(self, *, by: str) -> None:
        self.stopped_by.append(by)


class _Verbs:
    """Takes exactly the verbs, with exactly the arguments, of the protocol it stands for."""

    def __init__(self, desk: FakeDesk, principal: Principal, protocol: type) -> None:
        self._desk = desk
        self._principal = principal
        self._protocol = protocol

    def __getattr__(self, verb: str) -> Scripted:
        signature = inspect.signature(getattr(self._protocol, verb))

        async def perform(*args: Any, **kwargs: Any) -> dict[str, object]:
            bound = signature.bind(None, *args, **kwargs)
            given = {k: v for k, v in bound.arguments.items() if k != "self"}
            self._desk.asked.append((self._principal.worker_id, verb, given))
            script = self._desk.scripts.get(verb)
            if script is not None:
                return await script(**given)
            return {"you": self._principal.worker_id, "verb": verb}

        return perform


@dataclass(frozen=True)
class Served:
    base: str
    port: int
    stop: Callable[[], Awaitable[None]]

    def client(self, token: str | None = LEAD_TOKEN, **headers: str) -> httpx.AsyncClient:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return httpx.AsyncClient(base_url=self.base, headers=headers, trust_env=False, timeout=20)


@contextlib.asynccontextmanager
async def _serving(desk: Any) -> AsyncIterator[Served]:
    from agentorchestr.mcp_server.app import build_app
    from agentorchestr.mcp_server.serving import bind_loopback, serve

    sock = bind_loopback()
    port = sock.getsockname()[1]
    started = asyncio.Event()
    task = asyncio.ensure_future(serve(build_app(desk, port=port), sock, started=started))

    async def stop() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async with asyncio.timeout(10):
        await started.wait()
    try:
        yield Served(f"http://127.0.0.1:{port}", port, stop)
    finally:
        await stop()


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def serving() -> Callable[[Any], AbstractAsyncContextManager[Served]]:
    return _serving


@pytest.fixture
async def served(desk: FakeDesk) -> AsyncIterator[Served]:
    async with _serving(desk) as one:
        yield one


VERSIONS = ("2025-06-18", "2025-11-25", "2026-07-28")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Rpc:
    """JSON-RPC by hand, as a client of one protocol version sends it."""

    def __init__(self, http: httpx.AsyncClient, version: str) -> None:
        self._http = http
        self._version = version
        self._next = 0
        self.raw = b""

    async def post(self, method: str, params: dict[str, Any]) -> httpx.Response:
        self._next += 1
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": self._version,
        }
        if self._version == "2026-07-28":
            headers["Mcp-Method"] = method
            if "name" in params:
                headers["Mcp-Name"] = params["name"]
            meta = {
                "io.modelcontextprotocol/protocolVersion": self._version,
                "io.modelcontextprotocol/clientInfo": {"name": "by-hand", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
            params = {**params, "_meta": meta}
        body = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        answer = await self._http.post("/mcp", content=json.dumps(body), headers=headers)
        self.raw = answer.content
        return answer

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = await self.post(method, params)
        assert answer.status_code == 200, answer.text
        if answer.headers["content-type"].startswith("text/event-stream"):
            lines = [
                line[5:] for line in answer.text.splitlines() if line.startswith("data:") and line[5:].strip()
            ]
            return dict(json.loads(lines[-1])["result"])
        return dict(answer.json()["result"])

    async def tool(self, name: str, **arguments: Any) -> tuple[bool, str]:
        """Whether it went well, and the one text block."""
        result = await self.ask("tools/call", {"name": name, "arguments": arguments})
        (block,) = result["content"]
        return not result.get("isError", False), block["text"]


@pytest.fixture
def rpc() -> type[Rpc]:
    return Rpc
