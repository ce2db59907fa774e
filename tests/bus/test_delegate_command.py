"""``agentorchestr bus delegate``: alone, and beside a running instance of the same agent."""

import asyncio
import json
from pathlib import Path

import pytest

from agentorchestr.bus import Agent, Bus
from agentorchestr.clock import until
from tests.bus.conftest import Shell, beside, soon
from tests.bus.test_command_line import data, problem
from tests.bus.test_mcp import client, said

HELPER = ("--agent-id", "helper", "--skill", "shout", "--invoke", "tr a-z A-Z")


def given(shell: Shell, *words: str, code: int = 0, stdin: bytes = b"") -> dict:
    done = shell.run("delegate", *words, "--json", stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict = data(done, "task")["task"]
    return found


def test_a_task_goes_to_who_can_do_it_or_to_who_is_named(shell: Shell) -> None:
    shell.start(*HELPER)
    for target in ("shout", "local/helper"):
        done = given(shell, target, "be loud", "--wait", "--timeout", "60s")
        assert (done["state"], done["result"], done["assignee"]) == ("completed", "BE LOUD", "helper")
    assert given(shell, "helper", "--wait", stdin=b"x" * 100_000)["artifact"]["size"] == 100_000


def test_without_waiting_it_is_offered_and_goes_on(shell: Shell) -> None:
    shell.start(*HELPER)
    assert b": helper  " in shell.run("delegate", "shout", "be loud").stdout
    assert until(lambda: listed(shell)["state"] == "completed", within_s=30)
    assert listed(shell)["result"] == "BE LOUD"


def listed(shell: Shell) -> dict:
    shell.run("read")  # the agent is there for a moment, and hears of its task
    [task] = data(shell.run("tasks", "--json"), "tasks")["tasks"]
    return dict(task)


def test_what_nobody_can_do_is_said(shell: Shell) -> None:
    assert "nobody can do 'dance'" in problem(shell.run("delegate", "dance", "x"))
    assert "twice" in problem(shell.run("delegate", "shout", "x", "--file", "y"))
    late = given(shell, "local/later", "x", "--wait", "--timeout", "1s", code=2)
    assert late["state"] == "timeout"


def test_beside_a_running_instance_that_one_offers_and_follows_it(shell: Shell) -> None:
    shell.start(*HELPER)
    shell.start("--agent-id", "boss")
    done = given(shell, "shout", "be loud", "--wait", "--agent-id", "boss")
    assert (done["state"], done["result"]) == ("completed", "BE LOUD")


@pytest.mark.anyio
async def test_an_mcp_server_beside_a_running_instance_delegates(env: dict[str, str], tmp_path: Path) -> None:
    agent, large = Agent("helper", env=env), "x" * 100_000

    @agent.task("shout")
    def shout(job):
        return job.text.upper()

    async with Bus("model", env=env) as model, beside(agent.run()), client(env, "model") as session:
        await soon(lambda: model.agents("shout"))
        task = await said(session, "delegate", task="be loud", capability="shout")
        big = await said(session, "delegate", task=large, agent="helper")

        async def at_end(some_id: str) -> bool:
            return (await said(session, "task_status", id=some_id))["state"] == "completed"

        await soon(lambda: at_end(task["id"]))
        assert (await said(session, "task_status", id=task["id"]))["result"] == "BE LOUD"
        await soon(lambda: at_end(big["id"]))
        got = await said(session, "fetch_artifact", id=big["id"])
        assert (await asyncio.to_thread(Path(got["path"]).read_text)) == large.upper()
        assert got["next_offset"] == len(got["text (data)"]) < len(large)
        assert json.loads(json.dumps(got)) == got
