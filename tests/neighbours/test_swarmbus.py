"""Agents of the published swarmbus and agents of ours, both ways, on our broker and on one without logins."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.bus.line import Place
from agentorchestr.bus.swarmbus_login import make_swarmbus_login
from agentorchestr.clock import until
from tests.bus.conftest import Shell
from tests.bus.test_command_line import data
from tests.neighbours.swarmbus import Swarmbus

COMPAT = ("--bus-compat", "swarmbus")
Make = Callable[..., Swarmbus]


@pytest.fixture
def planner(place: Callable[[str], Place], swarmbus: Make) -> Swarmbus:
    """An agent of swarmbus that may come in to the private broker."""
    return at_private(place, swarmbus, "planner")


def at_private(place: Callable[[str], Place], swarmbus: Make, name: str) -> Swarmbus:
    made = make_swarmbus_login(place(f"swarmbus/{name}"))
    words = dict(line.split("=", 1) for line in made.file.read_text().splitlines())
    return swarmbus(name, made.port, **words)


@contextmanager
def receiving(shell: Shell, *words: str) -> Iterator[Path]:
    """An agent of ours, ben, that writes what comes into a file."""
    shell.start("--agent-id", "ben", "--inbox", "ben.md", *COMPAT, *words)
    yield shell.cwd / "ben.md"


def marks(file: Path) -> list[dict[str, Any]]:
    """What our inbox file says of each letter."""
    lines = file.read_text().splitlines() if file.exists() else []
    head = "<!-- agentorchestr "
    return [
        json.loads(line.removeprefix(head).removesuffix(" -->")) for line in lines if line.startswith(head)
    ]


def bodies(file: Path) -> list[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [after for line, after in pairwise(lines) if line.startswith("<!-- ")]


def came(file: Path, *wanted: str) -> bool:
    return until(lambda: set(wanted) <= set(bodies(file)), within_s=30, every_s=0.05)


def conversation(shell: Shell, planner: Swarmbus, *broker: str, port: int | None = None) -> None:
    """Direct messages, broadcasts and presence, each both ways and each once."""
    planner.start()
    with receiving(shell, *broker) as inbox:
        assert until(lambda: {"ben", "planner"} <= set(planner.online()), within_s=30)
        listed = data(shell.run("list", "--online", *COMPAT, *broker, "--json"), "agents")["agents"]
        assert [one["agent"] for one in listed] == ["ben", "swarmbus/planner"]

        planner.send(
            "ben", "one", "--priority", "high", "--reply-to", "coder", "--content-type", "text/markdown"
        )
        planner.send("broadcast", "two")
        assert came(inbox, "one", "two")
        shell.run("send", "all", "four", "--agent-id", "ann", *COMPAT, *broker)
        sent = shell.run(
            *("send", "swarmbus/planner", "three", "--subject", "grüße", "--priority", "high"),
            *("--agent-id", "ann", *COMPAT, *broker, "--json"),
        )
        assert data(sent, "sent")["letters"][0]["state"] == "sent"
        assert planner.has("three")
        assert came(inbox, "four")
        first, second, fourth = marks(inbox)
        assert (first["from"], first["priority"], first["content_type"], first["verified"]) == (
            "agentorchestr/swarmbus/planner",
            "high",
            "text/markdown",
            False,
        )
        assert first["reply_to"] == "agentorchestr/swarmbus/coder"
        assert (second["to"], second["verified"], fourth["from"]) == (
            "all",
            False,
            "agentorchestr/local/ann",
        )
        # Its own broadcast comes back to it, as it does without us.
        assert sorted(planner.entries()) == sorted(
            [("planner", "s", "two"), ("ann", "", "four"), ("ann", "grüße", "three")]
        )
    shell.end_all()


def test_both_ways_on_the_private_broker(shell: Shell, planner: Swarmbus) -> None:
    conversation(shell, planner)


def test_both_ways_on_a_broker_without_logins(shell: Shell, swarmbus: Make, open_broker: int) -> None:
    conversation(shell, swarmbus("planner", open_broker), "--broker", f"mqtt://127.0.0.1:{open_broker}")


def test_what_came_while_either_was_away_is_there_once(shell: Shell, planner: Swarmbus) -> None:
    as_ann = ("--agent-id", "ann", *COMPAT)
    daemon = planner.start()
    planner.stop(daemon)
    shell.run("init", "--agent-id", "ben", *COMPAT)
    for number in range(3):
        shell.run("send", "swarmbus/planner", f"to planner {number}", *as_ann)
    planner.python(
        "from swarmbus import AgentBus\n"
        "async def main():\n"
        "    async with AgentBus(name, **where) as bus:\n"
        "        for number in range(20):\n"
        "            await bus.send('ben', 's', f'to ben {number}')\n"
        "asyncio.run(main())\n"
        "print('null')\n"
    )
    planner.start()
    assert planner.has("to planner 2")
    assert [body for _, _, body in planner.entries()] == [f"to planner {number}" for number in range(3)]
    read = ("read", "--agent-id", "ben", *COMPAT, "--json")
    first = data(shell.run(*read), "letters")["letters"]
    assert [one["body"] for one in first] == [f"to ben {number}" for number in range(20)]
    assert data(shell.run(*read), "letters")["letters"] == []


def test_its_mcp_inbox_gets_letters_and_answers_them(shell: Shell, planner: Swarmbus) -> None:
    with receiving(shell) as inbox:
        asking = (
            "from swarmbus.runtime import ManagedMCPRuntime\n"
            "async def main():\n"
            "    runtime = ManagedMCPRuntime(agent_id=name, persistent=True, presence=True,\n"
            "                                state_path=f'{state}/mcp/box.sqlite3', **where)\n"
            "    await runtime.start()\n"
            "    await runtime.wait_until_ready()\n"
            "    found = await runtime.read_inbox(ack_ids=None, max_messages=10, wait_seconds=30)\n"
            "    for one in found:\n"
            "        await runtime.send_message(to=one['from'], subject='re', body='got ' + one['body'])\n"
            "    agents = await runtime.list_agents()\n"
            "    await runtime.ack_inbox(message_ids=[one['id'] for one in found])\n"
            "    await runtime.stop()\n"
            "    print(json.dumps([found, agents]))\n"
            "asyncio.run(main())\n"
        )
        # It never ran, so for swarmbus there is nobody; here the letter waits until it comes.
        sent = shell.run("send", "swarmbus/planner", "early", "--agent-id", "ben", *COMPAT, "--json")
        assert data(sent, "sent")["letters"][0]["state"] == "stored"
        found, agents = planner.python(asking)
        assert [(one["from"], one["body"]) for one in found] == [("ben", "early")]
        assert "ben" in agents
        assert came(inbox, "got early")


def test_a_question_is_answered_by_its_wake_command(shell: Shell, planner: Swarmbus, tmp_path: Path) -> None:
    answering = tmp_path / "answer.sh"
    where = " ".join(planner._where)
    program = planner._programs / "swarmbus"
    answering.write_text(
        f"#!/bin/sh\nread -r body\nexec {program} send --agent-id planner {where} --to $SWARMBUS_FROM"
        ' --subject re --reply-to $SWARMBUS_ID --body "$body indeed"\n'
    )
    answering.chmod(0o755)
    planner.start("--invoke", str(answering))
    shell.run("init", "--agent-id", "ann", *COMPAT)
    asked = shell.run(
        "ask", "swarmbus/planner", "is it done", "--timeout", "40s", "--agent-id", "ann", *COMPAT
    )
    assert (asked.returncode, asked.stdout) == (0, b"is it done indeed\n"), asked.stderr
