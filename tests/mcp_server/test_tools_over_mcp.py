"""The tools as the clients of each protocol version see them."""

import asyncio
import json
import re

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from agentorchestr.errors import ToolRefused

pytestmark = pytest.mark.anyio

MAIL = {
    "send_message", "broadcast", "read_inbox", "wait_for_message", "list_agents", "delegate", "task_status",
    "fetch_artifact",
}  # fmt: skip
LEAD = MAIL | {
    "spawn_worker", "read_worker_output", "send_to_worker", "wait_for_worker", "wait_for_any", "list_workers",
    "kill_worker", "review_diff", "merge_worker", "verify", "cross_review", "report_progress",
    "list_perspectives", "add_task", "list_tasks", "write_note", "read_notes", "mark_goal_done",
    "mark_goal_failed",
}  # fmt: skip
WORKER = MAIL | {
    "get_brief", "claim_task", "report_progress", "report_done", "report_blocked", "report_failed",
    "run_checks", "write_note", "read_notes", "ask_lead",
}  # fmt: skip


async def test_each_principal_is_shown_its_own_tools_within_the_size_limit(served, desk, rpc, version):
    for token, names, limit in (("lead-token", LEAD, 9000), ("worker-token", WORKER, 5000)):
        async with served.client(token) as http:
            speak = rpc(http, version)
            tools = (await speak.ask("tools/list", {}))["tools"]
        assert {tool["name"] for tool in tools} == names
        assert len(speak.raw) <= limit
        assert '"title":"' not in json.dumps(tools, separators=(",", ":"))
        assert all(tool["inputSchema"]["type"] == "object" for tool in tools)


async def test_asking_for_the_tools_tells_the_core_who_is_ready(served, desk, rpc, version):
    async with served.client("worker-token", **{"User-Agent": "codex-mcp-client/0.169.0"}) as http:
        await rpc(http, version).ask("tools/list", {})
    assert desk.listed == [("w1", "codex-mcp-client/0.169.0")]


async def test_calling_a_tool_does_not_count_as_asking_for_the_list(served, desk, rpc, version):
    async with served.client() as http:
        ok, _ = await rpc(http, version).tool("kill_worker", worker_id="w1")
    assert ok
    assert desk.listed == []
    assert desk.seen == [("lead", "kill_worker")]


async def test_a_call_reaches_the_verb_with_defaults_and_returns_compact_json(served, desk, rpc, version):
    async with served.client() as http:
        ok, text = await rpc(http, version).tool("spawn_worker", task="größer\nund schöner", agent=None)
    assert (ok, text) == (True, '{"you":"lead","verb":"spawn_worker"}')
    (asked,) = desk.asked
    assert asked == (
        "lead",
        "spawn_worker",
        {"task": "größer\nund schöner", "role": "implementer", "agent": "", "file_scope": (), "criteria": "",
         "context": "", "task_id": ""},
    )  # fmt: skip


async def test_every_listed_tool_reaches_a_verb_of_the_same_name(served, desk, rpc):
    samples = {"string": "some", "integer": 7, "number": 0.1, "boolean": True, "array": ["some"]}
    for token in ("lead-token", "worker-token"):
        async with served.client(token) as http:
            speak = rpc(http, "2025-11-25")
            for tool in (await speak.ask("tools/list", {}))["tools"]:
                schema = tool["inputSchema"].get("properties", {})
                given = {name: rule.get("enum", [samples[rule["type"]]])[0] for name, rule in schema.items()}
                ok, text = await speak.tool(tool["name"], **given)
                assert ok, text
                assert desk.asked[-1][1] == tool["name"]


async def test_a_workers_token_on_a_lead_tool_is_refused_and_reaches_nothing(served, desk, rpc, version):
    async with served.client("worker-token") as http:
        ok, text = await rpc(http, version).tool("spawn_worker", task="more of me")
    assert not ok
    assert text.startswith("spawn_worker is a tool of the lead, not of a worker. Your tools: get_brief, ")
    assert desk.asked == []


async def test_a_shared_name_is_performed_as_the_caller_s_own_tool(served, desk, rpc):
    async with served.client("worker-token") as http:
        await rpc(http, "2025-06-18").tool("write_note", text="hello")
    assert [one[:2] for one in desk.asked] == [("w1", "write_note")]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("spawn_worker", {}, "spawn_worker: task is missing. Arguments: task, role, "),
        ("spawn_worker", {"task": "x", "colour": "red"}, "colour is not an argument"),
        ("spawn_worker", {"task": ["x"]}, "task: input should be a valid string"),
        ("spawn_worker", {"task": ""}, "task: string should have at least 1 character"),
        ("spawn_worker", {"task": "x" * 20_001}, "task: string should have at most 20000 characters"),
        ("spawn_worker", {"task": "a\0b"}, "task: it holds a NUL character"),
        ("spawn_worker", {"task": "x", "file_scope": "src"}, "file_scope: input should be an array"),
        ("read_worker_output", {"worker_id": "w1", "tail_lines": "many"}, "tail_lines: input should be a valid integer"),
        ("wait_for_any", {"timeout_s": -1}, "timeout_s: input should be greater than or equal to 0"),
        ("nothing_like_it", {}, "there is no tool 'nothing_like_it'. Your tools: spawn_worker, "),
        ("list_workers", {"x" * 5000: 1}, "x… is not an argument. Arguments: none"),
    ],
)  # fmt: skip
async def test_wrong_arguments_get_one_short_line(served, desk, rpc, tool, arguments, says):  # noqa: PLR0917 - fixtures and cases
    async with served.client() as http:
        ok, text = await rpc(http, "2025-11-25").tool(tool, **arguments)
    assert not ok
    assert says in text
    assert "\n" not in text
    assert len(text) < 700
    assert desk.asked == []


async def test_a_lone_surrogate_never_reaches_the_core(served, desk, rpc):
    async with served.client() as http:
        older = await rpc(http, "2025-11-25").post(
            "tools/call", {"name": "write_note", "arguments": {"text": "\ud800"}}
        )
        assert older.status_code == 400
        ok, text = await rpc(http, "2026-07-28").tool("write_note", text="\ud800")
    assert not ok
    assert text.startswith("write_note: text: ")
    assert desk.asked == []


async def test_a_refusal_of_the_core_is_one_line_of_what_and_hint(served, desk, rpc, version):
    async def refuse(**_: object) -> dict[str, object]:
        raise ToolRefused("the integration tip\nhas no verdict", hint="Call verify first.")

    desk.scripts["mark_goal_done"] = refuse
    async with served.client() as http:
        answer = await rpc(http, version).tool("mark_goal_done", summary="all of it")
    assert answer == (False, "the integration tip has no verdict. Call verify first.")


async def test_a_fault_of_ours_is_logged_and_never_shown(served, desk, rpc, version, caplog):
    async def fail(**_: object) -> dict[str, object]:
        raise KeyError("secret path")

    desk.scripts["list_workers"] = fail
    async with served.client() as http:
        answer = await rpc(http, version).tool("list_workers")
    assert answer == (False, "internal error, see log")
    assert any("a call failed" in record.message and record.exc_info for record in caplog.records)


async def test_a_screen_with_broken_characters_is_told_all_the_same(served, desk, rpc, version):
    async def screen(**_: object) -> dict[str, object]:
        return {"lines": ("\udce4 ok", "\x1b[31m")}

    desk.scripts["read_worker_output"] = screen
    async with served.client() as http:
        ok, text = await rpc(http, version).tool("read_worker_output", worker_id="w1")
    assert ok
    assert json.loads(text) == {"lines": ["? ok", "\x1b[31m"]}


async def test_a_wait_is_cut_at_what_the_client_bears(served, desk, rpc):
    async with served.client() as http:
        await rpc(http, "2025-06-18").tool("wait_for_any", timeout_s=600)
        await rpc(http, "2025-06-18").tool("wait_for_worker", worker_id="w1", timeout_s=0.5)
    assert [one[2]["timeout_s"] for one in desk.asked] == [1.5, 0.5]


async def test_two_tokens_at_once_are_never_mixed_up(served, desk, rpc, version):
    """Two callers meet inside the core before either is answered."""
    meeting = asyncio.Barrier(2)

    async def meet(**_: object) -> dict[str, object]:
        async with asyncio.timeout(5):
            await meeting.wait()
        return {"ok": True}

    desk.scripts["get_brief"] = meet
    async with served.client("worker-token") as one, served.client("other-token") as two:
        for _ in range(10):
            await asyncio.gather(rpc(one, version).tool("get_brief"), rpc(two, version).tool("get_brief"))
    assert sorted(who for who, _, _ in desk.asked) == ["w1"] * 10 + ["w2"] * 10


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
async def test_the_sdk_s_own_client_lists_calls_and_leaves(served, desk, mode):
    headers = {"Authorization": "Bearer worker-token"}
    async with httpx2.AsyncClient(headers=headers, trust_env=False) as http:
        transport = streamable_http_client(f"{served.base}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            tools = (await client.list_tools()).tools
            good = await client.call_tool("get_brief", {})
            bad = await client.call_tool("spawn_worker", {"task": "x"})
    assert {tool.name for tool in tools} == WORKER
    assert good.content[0].text == '{"you":"w1","verb":"get_brief"}'
    assert bad.is_error
    assert [one[:1] for one in desk.listed] == [("w1",)]


async def test_an_older_client_s_whole_life_goes_by_without_an_mcp_session(served, desk):
    """Initialize, initialized, a GET stream, a DELETE: what Codex and the TypeScript SDK send."""
    accept = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    async with served.client("worker-token", **accept) as http:
        started = await http.post(
            "/mcp", json={"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
        )
        assert started.status_code == 200
        assert re.search(r'"protocolVersion":\s*"2025-06-18"', started.text)
        assert "mcp-session-id" not in started.headers
        http.headers["MCP-Protocol-Version"] = "2025-06-18"
        noted = await http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert noted.status_code == 202
        ping = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert ping.status_code == 200
        for refused in (await http.get("/mcp"), await http.delete("/mcp")):
            assert refused.status_code == 405
            assert refused.headers["allow"] == "POST"
