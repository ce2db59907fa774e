"""Who gets in, and what may be sent through the door."""

import asyncio
import json

import pytest

from agentorchestr.model.facts import NoteWritten, Recorded
from agentorchestr.supervisor.desk import Principal, PrincipalKind

pytestmark = pytest.mark.anyio

ROUTES = (
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("POST", "/tools/get_brief"),
    ("GET", "/control/events"),
    ("POST", "/control/stop"),
    ("GET", "/nowhere"),
)
EVERY_ROUTE = (*ROUTES, ("GET", "/healthz"))
MCP = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


async def raw(port: int, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are, and read the whole answer until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), head


async def test_no_token_or_a_wrong_one_is_401_with_a_challenge(served):
    for method, path in ROUTES:
        await check_401(served, method, path)


async def check_401(served, method, path):
    async with served.client(None) as http:
        none = await http.request(method, path)
        assert none.status_code == 401
        assert none.headers["www-authenticate"] == 'Bearer realm="agentorchestr"'
        for given in (
            "Bearer nobody",
            "Bearer",
            "Basic bGVhZC10b2tlbg==",
            "lead-token",
            "Bearer " + "x" * 5000,
        ):
            wrong = await http.request(method, path, headers={"Authorization": given})
            assert wrong.status_code == 401, given
            assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


async def test_a_token_outside_ascii_or_sent_twice_is_401(served):
    host = f"Host: 127.0.0.1:{served.port}\r\n".encode()
    for headers in (
        b"Authorization: Bearer t\xf6ken\r\n",
        b"Authorization: Bearer lead-token\r\nAuthorization: Bearer lead-token\r\n",
    ):
        status, _ = await raw(served.port, b"GET /mcp HTTP/1.1\r\n" + host + headers + b"\r\n")
        assert status == 401


async def test_a_token_gone_stale_is_refused_from_the_next_request_on(served, desk, rpc, version):
    async with served.client("worker-token") as http:
        assert (await rpc(http, version).tool("get_brief"))[0]
        desk.tokens.pop("worker-token")
        answer = await rpc(http, version).post("tools/call", {"name": "get_brief", "arguments": {}})
    assert answer.status_code == 401
    assert len(desk.asked) == 1


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example",
        "localhost:{port}@evil.example",
        "[::1]:{port}",
        "0.0.0.0:{port}",
        "",
    ],
)
async def test_a_host_that_is_not_ours_is_403_on_every_route(served, host):
    async with served.client("lead-token", Host=host.format(port=served.port)) as http:
        for method, path in EVERY_ROUTE:
            assert (await http.request(method, path)).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "http://localhost:1",
        "",
    ],
)
async def test_an_origin_that_is_not_ours_is_403_on_every_route(served, origin):
    async with served.client("lead-token", Origin=origin.format(port=served.port)) as http:
        for method, path in EVERY_ROUTE:
            assert (await http.request(method, path)).status_code == 403


async def test_our_own_host_names_and_origins_are_let_in(served):
    for name in ("127.0.0.1", "localhost", "LocalHost"):
        host = f"{name}:{served.port}"
        async with served.client(None, Host=host, Origin=f"http://{host.lower()}") as http:
            assert (await http.get("/healthz")).json() == {"ok": True}


async def test_two_host_headers_are_refused(served):
    host = f"Host: 127.0.0.1:{served.port}\r\n".encode()
    status, _ = await raw(served.port, b"GET /healthz HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n")
    assert status in (400, 403)


@pytest.mark.parametrize(("method", "path"), ROUTES[:3])
async def test_the_control_token_opens_control_only(served, desk, method, path):
    async with served.client("control-token", **MCP) as http:
        assert (await http.request(method, path)).status_code == 403
    assert desk.asked == []


@pytest.mark.parametrize("token", ["lead-token", "worker-token"])
@pytest.mark.parametrize(("method", "path"), ROUTES[3:5])
async def test_an_agent_s_token_does_not_open_control(served, desk, token, method, path):
    async with served.client(token) as http:
        assert (await http.request(method, path)).status_code == 403
    assert desk.stopped_by == []


@pytest.mark.parametrize("path", ["/mcp", "/tools/get_brief"])
async def test_a_body_over_the_limit_is_413_declared_or_not(served, desk, path):
    async def endless():
        for _ in range(40):
            yield b" " * 65_536

    async with served.client("worker-token", **MCP) as http:
        declared = await http.post(path, content=b" " * (1024 * 1024 + 1))
        assert declared.status_code == 413
        streamed = await http.post(path, content=endless())
        assert streamed.status_code == 413
    assert desk.asked == []


async def test_a_body_at_the_limit_is_read(served):
    async with served.client("worker-token", **MCP) as http:
        answer = await http.post("/tools/get_brief", content=b"{}" + b" " * (1024 * 1024 - 2))
    assert answer.status_code == 200


BROKEN = [
    b"{",
    b"",
    b"\xff\xfe{}",
    b'{"a": "\xe9"}',
    b"[]",
    b"7",
    b"null",
    b'{"jsonrpc": "2.0"}',
    b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]',
    b"[" * 100_000,
    b'{"jsonrpc": "2.0", "id": ' + b"1" * 5000 + b', "method": "ping"}',
]


@pytest.mark.parametrize("body", BROKEN)
async def test_a_broken_message_is_a_plain_400_and_the_server_lives(served, rpc, version, body, caplog):
    async with served.client("lead-token") as http:
        answer = await http.post("/mcp", content=body, headers={**MCP, "MCP-Protocol-Version": version})
        assert answer.status_code == 400
        assert "Traceback" not in answer.text
        assert (await rpc(http, version).tool("list_workers"))[0]
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe{}", b'{"a": "\xe9"}', b"[]", b"7", b"[" * 100_000])
async def test_broken_arguments_on_the_plain_route_are_a_400_of_one_line(served, body):
    async with served.client("worker-token") as http:
        answer = await http.post("/tools/get_brief", content=body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "hint"}


async def test_an_unknown_protocol_version_is_refused(served, rpc):
    async with served.client("lead-token") as http:
        answer = await rpc(http, "1999-01-01").post("tools/list", {})
    assert answer.status_code == 400


async def test_the_plain_route_answers_with_the_reply_or_error_and_hint(served, desk):
    async with served.client("worker-token") as http:
        good = await http.post("/tools/report_done", json={"summary": "all"})
        assert (good.status_code, good.json()) == (200, {"you": "w1", "verb": "report_done"})
        wrong = await http.post("/tools/report_done", json={})
        assert (wrong.status_code, wrong.json()["error"]) == (422, "report_done: summary is missing")
        other = await http.post("/tools/kill_worker", json={"worker_id": "w2"})
        assert other.status_code == 403
        none = await http.post("/tools/dance")
        assert none.status_code == 404
        bare = await http.post("/tools/get_brief")
        assert bare.status_code == 200
    assert desk.seen == [("w1", "report_done"), ("w1", "report_done"), ("w1", "get_brief")]


async def test_events_are_told_with_their_kind_after_a_cursor(served, desk):
    desk.facts = [
        Recorded(seq, 1.5, 1, NoteWritten(note_id=f"n{seq}", author="w1", text="hällo")) for seq in (1, 2)
    ]
    async with served.client("control-token") as http:
        answer = await http.get("/control/events", params={"after": 1, "wait_s": 9999})
        assert answer.json() == [
            {
                "seq": 2,
                "at": 1.5,
                "kind": "NoteWritten",
                "fact": {"note_id": "n2", "author": "w1", "text": "hällo"},
            }
        ]
        assert desk.events_asked == [(1, 60.0)]
        for query in ("after=x", "after=-1", "wait_s=nan", "wait_s=-1", "wait_s=inf"):
            assert (await http.get(f"/control/events?{query}")).status_code == 400


async def test_stop_is_handed_on_once(served, desk):
    async with served.client("control-token") as http:
        answer = await http.post("/control/stop")
        assert (await http.get("/control/stop")).status_code == 405
    assert answer.json() == {"stopping": True}
    assert desk.stopped_by == ["control"]


async def test_a_principal_kind_is_all_that_decides_the_tools(served, desk, rpc):
    desk.tokens["new"] = Principal("w9", PrincipalKind.WORKER)
    async with served.client("new") as http:
        tools = (await rpc(http, "2026-07-28").ask("tools/list", {}))["tools"]
    assert json.dumps(tools).count('"name": "get_brief"') == 1
