"""The stdio server, driven by the SDK's own client."""

import json
import sys
from contextlib import asynccontextmanager

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from agentorchestr.bus import Agent, Bus
from tests.bus.conftest import Shell, beside, first, soon

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def client(env, name, *words):
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "agentorchestr", "bus", "mcp-server", "--agent-id", name, *words],
        env=env,
    )
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def call(session, name, **arguments):
    result = await session.call_tool(name, arguments)
    [text] = result.content
    return json.loads(text.text), bool(result.is_error)


async def said(session, name, **arguments):
    answer, is_error = await call(session, name, **arguments)
    assert not is_error, answer
    return answer


async def test_what_came_while_nobody_watched_is_read_once_with_broadcasts(env):
    async with client(env, "model") as session, Bus("ann", env=env) as ann:
        tools = await session.list_tools()
        assert [tool.name for tool in tools.tools] == [
            "send_message",
            "read_inbox",
            "wait_for_message",
            "list_agents",
            "broadcast",
            "delegate",
            "task_status",
            "fetch_artifact",
        ]
        await ann.send("model", "one", subject="s", priority="high")
        await ann.send("all", "two")
        last = await ann.send("model", "three")
        assert (await ann.wait_for(last.letter_id, "received", timeout_s=10)).state == "received"
        read = await said(session, "read_inbox")
        assert [one["body"] for one in read["messages"]] == ["one", "two", "three"]
        assert (read["messages"][0]["from"], read["messages"][0]["verified"]) == ("ann", True)
        assert (await said(session, "read_inbox"))["messages"] == []
        assert (await ann.wait_for(last.letter_id, "read", timeout_s=10)).state == "read"


async def test_a_model_sends_answers_waits_and_lists(env):
    async with client(env, "model", "--skill", "plan") as session, Bus("ann", env=env) as ann:
        sent = await said(
            session, "send_message", to="ann", body="hello", subject="s", reply_to="boss", expires_s=60
        )
        [one] = sent["sent"]
        assert one["state"] in {"sent", "received"}
        [got] = await first(ann.messages(), 1)
        assert got.expires_at == pytest.approx(got.created_at + 60)
        assert (got.sender.agent, got.body, str(got.reply_to)) == (
            "model",
            "hello",
            "agentorchestr/local/boss",
        )
        async with beside(_answer_later(ann, got.letter_id)):
            waited = await said(session, "wait_for_message", timeout_s=10)
        assert [(m["body"], m["answers"]) for m in waited["messages"]] == [("back", got.letter_id)]
        assert (await said(session, "wait_for_message", timeout_s=0.1))["messages"] == []
        assert [one["agent"] for one in (await said(session, "list_agents"))["agents"]] == ["ann"]
        [card] = await ann.agents("plan")
        assert card.address.agent == "model"

        async def read():
            return (await said(session, "task_status", id=one["id"]))["state"] == "read"

        await soon(read)


async def _answer_later(ann, letter_id):
    await ann.send("model", "back", answers=letter_id)


async def test_a_model_delegates(env):
    agent = Agent("helper", env=env)

    @agent.task("shout")
    def shout(job):
        return job.text.upper()

    async with client(env, "model") as session, Bus("ann", env=env) as ann, beside(agent.run()):
        await soon(lambda: ann.agents("shout"))
        given = await said(session, "delegate", task="hello", capability="shout")

        async def completed():
            told = await said(session, "task_status", id=given["id"])
            return (told["state"], told["result"]) == ("completed", "HELLO")

        await soon(completed)


async def test_beside_a_running_instance_it_reads_and_writes(env, tmp_path):
    shell = Shell(env, tmp_path)
    async with Bus("ann", env=env) as ann:
        shell.start("--agent-id", "model", "--inbox", "inbox.md")
        try:
            async with client(env, "model") as session:
                await said(session, "send_message", to="ann", body="from beside")
                [got] = await first(ann.messages(), 1)
                assert got.body == "from beside"
                await ann.send("model", "hello")
                waited = await said(session, "wait_for_message", timeout_s=10)
                assert [one["body"] for one in waited["messages"]] == ["hello"]
                assert "ann" in [one["agent"] for one in (await said(session, "list_agents"))["agents"]]
                given = await said(session, "delegate", task="x", agent="ann")

                async def is_offered():
                    return (await said(session, "task_status", id=given["id"]))["attempt"] == 1

                await soon(is_offered)
        finally:
            shell.end_all()


async def test_wrong_calls_get_clear_answers(env):
    async with client(env, "model") as session:
        for name, arguments, part in (
            ("nothing", {}, "no such tool"),
            ("send_message", {"to": "a b", "body": "x"}, "not the name"),
            ("send_message", {"to": "ann"}, "body"),
            ("send_message", {"to": "ann", "body": "x", "reply": "y"}, "reply"),
            ("send_message", {"to": "ann", "body": "x", "subject": "a\nb"}, "one line"),
            ("delegate", {"task": "x"}, "capability or for one agent"),
            ("task_status", {"id": "unknown"}, "no task or message"),
            ("read_inbox", {"limit": 0}, "limit"),
        ):
            answer, is_error = await call(session, name, **arguments)
            assert is_error
            assert part in answer["error"], answer
        assert (await said(session, "send_message", to="ann", body="x", priority=None))["sent"]
