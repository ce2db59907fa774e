"""A client of a2a-hub at a session's own local app: it gives a worker a task, and is given one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from agentorchestr.bus import Bus
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import Address, DelegatedState
from agentorchestr.model.states import WorkerState
from tests.bus.conftest import soon
from tests.e2e.conftest import Product
from tests.e2e.test_bus import GOAL, NEEDS_BROKER
from tests.e2e.test_sessions import wait_for
from tests.hub.conftest import RunningHub

pytestmark = NEEDS_BROKER
TALKER = """
[[lead]]
match = "."
tasks = [{ task = "talker" }]
[[worker]]
match = "talker"
turns = [
  { steps = [{ do = "call", tool = "report_progress", args = { message = "listening" } }, { do = "end_turn" }] },
  { on = "which port", steps = [
    { do = "call", tool = "delegate", args = { to = "local/echo", task = "{\\"n\\": 1}" } },
    { do = "end_turn" },
  ] },
  { on = "finish now", steps = [
    { do = "write", file = "done.txt", text = "done" },
    { do = "commit", message = "done" },
    { do = "call", tool = "report_done", args = { summary = "it is 8080" } },
  ] },
]
"""


async def talk(product: Product, session_id: str, port: int) -> None:
    hub = RunningHub(product.env, port)
    async with asyncio.timeout(60), hub.client("echo", "echo") as echo:
        agents = (await echo.ask("discover"))["payload"]["agents"]
        assert {"echo", f"{session_id}/w1", f"{session_id}/lead"} <= {agent["id"] for agent in agents}
        order = {"task_id": "t1", "params": {"message": "which port?"}}
        assert (await echo.ask("delegate", order, to=f"{session_id}/w1"))["type"] == "status"
        given = await echo.of_type("delegate")
        assert (given["from"], given["payload"]["params"]) == (f"{session_id}/w1", {"n": 1})
        assert given["payload"]["capability"] == "echo"
        await echo.write("result", {"task_id": given["payload"]["task_id"], "result": "one"})
        await soon(lambda: has_result(product, session_id), within_s=30)
        async with Bus("ann", env=product.env) as ann:
            await ann.send(f"{session_id}/w1", "finish now")
            told = await echo.of_type("result")
        assert told["payload"] == {"task_id": "t1", "result": "it is 8080", "error": None}


def has_result(product: Product, session_id: str) -> bool:
    with MailStore(product.paths.session(session_id) / "mail.sqlite") as store:
        tasks = store.tasks.recent(Address("agentorchestr", session_id, "w1"), Side.REQUESTER, limit=5)
    return [(task.state, task.result) for task in tasks] == [(DelegatedState.COMPLETED, "one")]


def test_a_hub_client_and_a_worker_give_one_another_tasks(
    product: Product, repo: Path, scenario: Callable[[str], str]
) -> None:
    process = product.start(
        *GOAL, "--bus-compat", "a2a-hub", cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(TALKER)
    )
    view = wait_for(product, lambda v: bool(v.team) and v.team[0].state is WorkerState.IDLE)
    bus = product.json("status", cwd=repo)["bus"]
    assert bus["a2a_hub"] == f"ws://127.0.0.1:{view.port}"
    asyncio.run(talk(product, view.session_id, view.port))
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    product.assert_nothing_left()
    assert not (product.paths.run / "mqtt.sock").exists(), "the hub let the broker go"


def test_an_unknown_neighbour_is_refused(product: Product, repo: Path) -> None:
    done = product.run(*GOAL, "--bus-compat", "a2a", cwd=repo)
    assert done.returncode == 1
    assert "a2a-hub" in done.stderr
    assert not product.sessions()
