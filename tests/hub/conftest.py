"""A hub of each test's own, and clients that write the frames a2a-hub documents."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from agentorchestr.hub.hub import Hub
from agentorchestr.hub.serving import serve_hub
from agentorchestr.hub.tokens import HubTokens
from agentorchestr.mcp_server.serving import bind_loopback
from agentorchestr.mqtt.broker import stop_broker
from agentorchestr.paths import Paths
from tests.bus.conftest import ROOT

WAITS_S = 20.0


@pytest.fixture
def env(private_home: dict[str, str]) -> Iterator[dict[str, str]]:
    """A private home; a broker that was started in it ends with the test."""
    yield {**private_home, "PYTHONPATH": str(ROOT)}
    stop_broker(Paths.from_env(private_home))


class HubClient:
    """Writes and reads frames; what arrives that nobody waited for yet is kept."""

    def __init__(self, socket: ClientConnection, client_id: str) -> None:
        self.socket = socket
        self.client_id = client_id
        self.kept: list[dict[str, Any]] = []

    async def write(self, type_: str, payload: dict[str, Any] | None = None, **more: Any) -> str:
        frame = {
            "type": type_,
            "id": str(uuid.uuid4()),
            "from": self.client_id,
            "to": "hub",
            "timestamp": "2026-01-01T00:00:00Z",
            "payload": payload or {},
            **more,
        }
        await self.socket.send(json.dumps(frame))
        return str(frame["id"])

    async def ask(self, type_: str, payload: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """Write, and give the frame that carries the same id."""
        frame_id = await self.write(type_, payload, **more)
        return await self.read(lambda frame: frame["id"] == frame_id)

    async def read(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(WAITS_S):
            while True:
                for frame in self.kept:
                    if wanted(frame):
                        self.kept.remove(frame)
                        return frame
                self.kept.append(json.loads(await self.socket.recv()))

    async def of_type(self, type_: str) -> dict[str, Any]:
        return await self.read(lambda frame: frame["type"] == type_)


class RunningHub:
    """A hub that is served, and what its clients need."""

    def __init__(self, env: dict[str, str], port: int) -> None:
        self.env = env
        self.port = port
        self.tokens = HubTokens(Paths.from_env(env))

    def token(self, name: str) -> str:
        return self.tokens.file_of(name).read_text()

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[ClientConnection]:
        async with connect(f"ws://127.0.0.1:{self.port}", **options) as socket:
            yield socket

    @asynccontextmanager
    async def client(
        self, client_id: str, *capabilities: str, metadata: dict[str, Any] | None = None
    ) -> AsyncIterator[HubClient]:
        """A client that is registered under its own name."""
        async with self.socket() as socket:
            client = HubClient(socket, client_id)
            words = {**(metadata or {}), "token": self.token(client_id)}
            said = await client.ask(
                "register",
                {"name": client_id.title(), "capabilities": list(capabilities), "metadata": words},
            )
            assert said["type"] == "register", said
            assert said["payload"] == {"status": "ok", "agent_id": client_id}
            yield client


@asynccontextmanager
async def running_hub(env: dict[str, str], port: int = 0) -> AsyncIterator[RunningHub]:
    sock = bind_loopback(port)
    port = sock.getsockname()[1]
    started = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve_hub(Hub(env), sock, started=started))
        await started.wait()
        try:
            yield RunningHub(env, port)
        finally:
            serving.cancel()


@pytest.fixture
async def hub(env: dict[str, str]) -> AsyncIterator[RunningHub]:
    async with running_hub(env) as one:
        yield one
