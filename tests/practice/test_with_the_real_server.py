"""The practice agent against our real MCP server, and eight of them in real tmux panes."""

import asyncio
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.clock import until
from tests.mcp_server.conftest import LEAD_TOKEN, WORKER_TOKEN, FakeDesk, _serving
from tests.practice import harness
from tests.practice.harness import WORKER_TOOLS, Endpoint, Setup

AT_ONCE = 8


def answers(**fields: Any) -> Callable[..., Any]:
    async def perform(**_: Any) -> dict[str, object]:
        return fields

    return perform


async def one_shot(
    setup: Setup, desk: FakeDesk, prompt: str, token: str
) -> "subprocess.CompletedProcess[str]":
    async with _serving(desk) as served:
        endpoint = Endpoint([], port=served.port)
        argv = setup.argv("-p", prompt, endpoint=endpoint)
        config = setup.folder / "mcp.json"
        config.write_text(config.read_text().replace(harness.TOKEN, token))
        return await asyncio.to_thread(
            subprocess.run,
            argv,
            cwd=setup.cwd,
            env=setup.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.mark.anyio
async def test_a_worker_reports_through_the_real_server(setup: Setup) -> None:
    brief = answers(
        worker_id="w1", role="implementer", task="Add a poem", branch="agentorchestr/s1/w1", messages=[]
    )
    desk = FakeDesk(scripts={"get_brief": brief})
    done = await one_shot(setup, desk, "Call get_brief.", WORKER_TOKEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert desk.listed
    assert desk.listed[0][1].startswith("agentorchestr-practice/")
    assert ("w1", "report_done", {"summary": "wrote notes/add-a-poem-w1.md"}) in desk.asked


@pytest.mark.anyio
async def test_a_lead_carries_a_goal_through_the_real_server(setup: Setup) -> None:
    event = {"kind": "done", "worker_id": "w1", "text": "x"}
    desk = FakeDesk(
        scripts={
            "spawn_worker": answers(worker_id="w1"),
            "wait_for_any": answers(events=[event], running=[]),
            "merge_worker": answers(merge_id="m1", result="merged"),
            "verify": answers(verdict_id="v1", outcome="green"),
        }
    )
    done = await one_shot(setup, desk, "make it better", LEAD_TOKEN)
    assert done.returncode == 0, done.stdout + done.stderr
    verbs = [verb for _, verb, _ in desk.asked]
    assert verbs == ["spawn_worker", "wait_for_any", "merge_worker", "verify", "mark_goal_done"]


@pytest.mark.anyio
async def test_a_refused_token_is_shown(setup: Setup) -> None:
    done = await one_shot(setup, FakeDesk(), "Call get_brief.", "stale")
    assert done.returncode == 1
    assert "refused our token (HTTP 401)" in done.stdout


def tmux(socket: Path, env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        ["tmux", "-S", str(socket), *words], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_eight_at_once_in_panes_are_soon_in_their_first_turn(
    setup: Setup, serve: Callable[..., Endpoint], tmux_socket: Path
) -> None:
    import time

    brief = {"worker_id": "w1", "role": "implementer", "task": "Add a poem", "branch": "b/s/w1"}
    setup.scenario('[[worker]]\nmatch = ""\nturns = [[{ do = "hang" }]]')
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": brief})
    script = setup.folder / "start"
    words = [*setup.argv(endpoint=endpoint), "--session"]
    script.write_text(f"#!/bin/sh\nexec {shlex.join(words)} s$1\n")
    script.chmod(0o700)
    tmux(
        tmux_socket,
        setup.env,
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        "-x",
        "200",
        "-y",
        "50",
        "-s",
        "t",
        "sleep 60",
    )
    panes = []
    began = time.monotonic()
    for number in range(AT_ONCE):
        where = tmux(
            tmux_socket,
            setup.env,
            "new-window",
            "-P",
            "-F",
            "#{pane_id}",
            "-c",
            str(setup.cwd),
            str(script),
            str(number),
        )
        panes.append(where.strip())
    assert until(lambda: endpoint.methods.count("tools/list") == AT_ONCE, within_s=10)
    for pane in panes:
        tmux(tmux_socket, setup.env, "send-keys", "-t", pane, "-l", "Call get_brief.")
        tmux(tmux_socket, setup.env, "send-keys", "-t", pane, "Enter")
    assert until(lambda: len(endpoint.called("get_brief")) == AT_ONCE, within_s=10)
    took_s = time.monotonic() - began
    # The bound of the benchmark is 2 s on an idle machine; here only that it is not of another order.
    assert took_s < 6
    assert until(
        lambda: "working" in tmux(tmux_socket, setup.env, "capture-pane", "-p", "-t", panes[0]), within_s=5
    )


def test_the_smallest_pane_shows_state_and_composer(
    setup: Setup, serve: Callable[..., Endpoint], tmux_socket: Path
) -> None:
    setup.scenario('[[worker]]\nmatch = ""\nturns = [[{ do = "ask", question = "May I?" }]]')
    line = shlex.join(setup.argv())
    tmux(
        tmux_socket,
        setup.env,
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        "-x",
        "20",
        "-y",
        "6",
        "-s",
        "t",
        "-c",
        str(setup.cwd),
        line,
    )
    screen = lambda: tmux(tmux_socket, setup.env, "capture-pane", "-p", "-t", "t").rstrip("\n").splitlines()  # noqa: E731 -- asked again and again
    assert until(
        lambda: screen()[-2:] == ["ready · Enter sends ", "> "] or screen()[-1:] == [">"], within_s=10
    ), screen()
    tmux(tmux_socket, setup.env, "send-keys", "-t", "t", "go", "Enter")
    assert until(lambda: any(row.startswith("waiting for permi") for row in screen()), within_s=10), screen()
    assert screen()[-1].startswith("?")
    tmux(tmux_socket, setup.env, "send-keys", "-t", "t", "y", "Enter")
    assert until(lambda: "It was allowed" in "\n".join(screen()), within_s=10), screen()
