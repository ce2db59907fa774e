"""Who gets in, and what a connection that misbehaves can do to others: nothing."""

import asyncio
import base64
import json
import stat

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agentorchestr.errors import UsageError
from agentorchestr.hub import talk
from agentorchestr.hub.tokens import HubTokens, may_be
from agentorchestr.paths import Paths
from tests.bus.conftest import soon
from tests.hub.conftest import HubClient
from tests.hub.test_ten_types import fault, found

pytestmark = pytest.mark.anyio


async def status_of(hub, **options):
    with pytest.raises(InvalidStatus) as refused:
        async with hub.socket(**options):
            pass
    return refused.value.response.status_code


async def test_web_pages_and_foreign_names_are_refused(hub):
    for origin in ("http://127.0.0.1:1", f"http://127.0.0.1:{hub.port}", "null"):
        assert await status_of(hub, origin=origin) == 403
    for host in ("evil.example", f"evil.example:{hub.port}", "127.0.0.1", f"[::1]:{hub.port}"):
        assert await raw_handshake(hub, host) == 403
    assert await raw_handshake(hub, f"LOCALHOST:{hub.port}") == 101


async def raw_handshake(hub, host):
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    key = base64.b64encode(bytes(16)).decode()
    writer.write(
        f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


async def test_a_token_may_come_in_a_header_or_in_the_address(hub):
    token = hub.token("echo")
    basic = base64.b64encode(f"whoever:{token}".encode()).decode()
    for words in (f"Bearer {token}", f"Basic {basic}"):
        async with hub.socket(additional_headers={"Authorization": words}) as socket:
            client = HubClient(socket, "echo")
            registration = {"name": "e", "metadata": {"token": token}}
            assert (await client.ask("register", registration))["type"] == "register"
            assert (await found(client))["echo"]["metadata"] == {}
            await client.ask("deregister")
            client.client_id = "other"
            assert "not for other" in fault(await client.ask("register", {"name": "e"}))
    for words in (
        "Bearer nonsense",
        f"Bearer {token}x",
        "Basic %%%",
        f"Basic {token}",
        "Bearer",
        f"Bearer {'é' * 3}",
    ):
        assert await status_of(hub, additional_headers={"Authorization": words}) == 401


async def test_tokens_are_private_files_and_each_is_for_one_name(private_home):
    tokens = HubTokens(Paths.from_env(private_home))
    file = tokens.file_of("echo.1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((file.parent.parent / "secret").stat().st_mode) == 0o600
    assert HubTokens(Paths.from_env(private_home)).name_in(file.read_text()) == "echo.1"
    forged = file.read_text().replace("echo.1", "echo.2")
    for text in (forged, "", ".", "echo.1", file.read_text() + "\n", "x" * 1000, "é.x"):
        assert tokens.name_in(text) is None
    for name in ("", "a b", "../x", "..", "hub", "broadcast", "unknown", "all", "x" * 65):
        with pytest.raises(UsageError):
            tokens.file_of(name)
    assert may_be("echo", "echo-00ff00ff")
    assert not any(
        may_be("echo", name) for name in ("echo-", "echo-00FF00FF", "echo-00ff00ff0", "echo2", "ech")
    )


async def test_garbage_is_answered_and_disturbs_nobody(hub):
    async with hub.client("echo", "echo") as echo, hub.client("noisy") as noisy:
        texts = [
            "",
            "x",
            "[]",
            "null",
            "1",
            '{"type": "nonsense", "id": "n1"}',
            '{"id": "n2"}',
            "[" * 5000,
            '{"type": "status", "id": 5}',
            '{"type":"status","payload":[]}',
            '"\\ud800"',
        ]
        for text in texts:
            await noisy.socket.send(text)
            assert fault(await noisy.of_type("error")).startswith("invalid message: ")
        await noisy.socket.send(json.dumps({"type": "nonsense", "id": "mine"}))
        assert (await noisy.of_type("error"))["id"] == "mine"
        await noisy.socket.send(b"\xff\x00")
        assert fault(await noisy.of_type("error")).startswith("invalid message: ")
        await noisy.socket.send('{"type":"broadcast","id":"nan","from":"noisy","payload":{"x":NaN}}')
        assert "error" in (await noisy.read(lambda frame: frame["id"] == "nan"))["payload"]
        assert (await noisy.ask("heartbeat"))["type"] == "heartbeat_ack"
        for _ in range(talk.BAD_IN_A_ROW):
            await noisy.socket.send("x")
        with pytest.raises(ConnectionClosed):
            await noisy.of_type("never")
        assert "too many" in noisy.kept[-1]["payload"]["error"]
        assert set(await found(echo)) >= {"echo"}


async def test_a_message_that_is_too_large_or_no_utf_8_ends_its_own_connection_only(hub):
    async with hub.client("echo", "echo") as echo:
        async with hub.client("large") as large:
            await large.socket.send(json.dumps({"type": "heartbeat", "payload": {"x": "y" * 1_100_000}}))
            with pytest.raises(ConnectionClosed) as closed:
                await large.of_type("never")
            assert closed.value.rcvd.code == 1009
        async with hub.client("broken") as broken:
            await broken.socket.send(b"\xff\xff", text=True)
            with pytest.raises(ConnectionClosed):
                await broken.of_type("never")
        assert (await echo.ask("heartbeat"))["type"] == "heartbeat_ack"


async def test_a_flood_is_refused_while_results_and_heartbeats_pass(hub, monkeypatch):
    monkeypatch.setattr(talk, "ASKED_AT_ONCE", 10.0)
    monkeypatch.setattr(talk, "ASKED_PER_S", 0.001)
    async with hub.client("echo", "echo") as echo, hub.client("noisy") as noisy:
        for _ in range(30):
            await noisy.write("status", {"task_id": "none"})
        refused = await noisy.read(lambda frame: "too many" in frame["payload"].get("error", ""))
        assert refused["payload"]["details"]["retry_after_s"] > 0
        assert (await noisy.ask("heartbeat"))["type"] == "heartbeat_ack"
        assert "unknown task" in fault(await noisy.ask("result", {"task_id": "t"}))
        assert (await echo.ask("status"))["type"] == "status"


async def test_who_does_not_register_is_let_go(hub, monkeypatch):
    monkeypatch.setattr(talk, "REGISTERS_S", 1.5)
    async with hub.socket() as socket:
        client = HubClient(socket, "echo")
        assert "no registration" in fault(await client.of_type("error"))
        with pytest.raises(ConnectionClosed):
            await client.of_type("never")
    async with hub.client("echo") as echo:
        await asyncio.sleep(2.0)
        assert (await echo.ask("heartbeat"))["type"] == "heartbeat_ack"


async def test_a_second_connection_takes_the_place_of_the_first(hub):
    async with hub.client("echo", "echo") as first, hub.client("echo", "echo", "more") as second:
        assert "another connection" in fault(await first.of_type("error"))
        with pytest.raises(ConnectionClosed):
            await first.of_type("never")
        await soon(lambda: found(second, "more"))
        assert (await second.ask("heartbeat"))["type"] == "heartbeat_ack"


async def test_an_agent_that_runs_elsewhere_is_not_taken_over(hub, env):
    from agentorchestr.bus import Bus

    async with Bus("echo", env=env), hub.socket() as socket:
        client = HubClient(socket, "echo")
        said = await client.ask("register", {"metadata": {"token": hub.token("echo")}})
        assert "runs already" in fault(said)
