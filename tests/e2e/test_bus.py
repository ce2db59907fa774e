"""Agents of different sessions write to one another over the private broker."""

import asyncio
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.tasks import Task
from agentorchestr.a2a.topics import Pool
from agentorchestr.bus import Bus
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import Journal
from agentorchestr.model.mail import Address, DelegatedState
from agentorchestr.model.states import WorkerState
from agentorchestr.model.view import SessionView
from agentorchestr.mqtt.broker import ensure_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.logins import add_login
from agentorchestr.swarm.artifacts import ref_of
from tests.conftest import make_repo
from tests.e2e.conftest import Product
from tests.e2e.test_sessions import CHECK, wait_for

Scenario = Callable[[str], str]
NEEDS_BROKER = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin") is None,
    reason="mosquitto is not installed",
)
GOAL = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice", "--checks", CHECK)
LISTENER = """
[[lead]]
match = "."
tasks = [{ task = "listener" }]
[[worker]]
match = "listener"
turns = [
  { steps = [{ do = "call", tool = "report_progress", args = { message = "listening" } }, { do = "end_turn" }] },
  { on = "the port is 7", steps = [
    { do = "write", file = "heard.txt", text = "heard" },
    { do = "commit", message = "heard" },
    { do = "call", tool = "report_done", args = { summary = "heard it" } },
  ] },
]
"""
SPEAKER = """
[[lead]]
match = "."
tasks = [{ task = "speaker" }]
[[worker]]
match = "speaker"
turns = [{ steps = [
  { do = "write", file = "said.txt", text = "said" },
  { do = "commit", message = "said" },
  { do = "call", tool = "send_message", args = { to = "SESSION/w1", subject = "hello", body = "the port is 7" } },
  { do = "call", tool = "report_done", args = { summary = "told them" } },
] }]
"""


def views(product: Product) -> dict[str, SessionView]:
    found = {}
    for session_id in product.sessions():
        with Journal.open_read(product.paths.session(session_id)) as journal:
            found[session_id] = derive(journal.facts())
    return found


@NEEDS_BROKER
def test_a_worker_writes_to_a_worker_of_another_session(
    product: Product, tmp_path: Path, scenario: Scenario
) -> None:
    one = make_repo(tmp_path / "one", {"README.md": "x\n"})
    two = make_repo(tmp_path / "two", {"README.md": "x\n"})
    first = product.start(*GOAL, cwd=one, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(LISTENER))
    listening = wait_for(product, lambda v: bool(v.team) and v.team[0].state is WorkerState.IDLE)
    path = tmp_path / "speaker.toml"
    path.write_text(SPEAKER.replace("SESSION", listening.session_id))
    said = product.run(*GOAL, cwd=two, AGENTORCHESTR_PRACTICE_SCENARIO=str(path))
    assert said.returncode == 0, said.stdout + said.stderr
    heard, _ = first.communicate(timeout=60)
    assert first.returncode == 0, heard
    view = views(product)[listening.session_id]
    (letter,) = [m for m in view.messages.values() if "/" in m.sender]
    assert letter.body == "the port is 7"
    assert letter.verified, "the broker bound the sender's name to its login"
    assert letter.read_at is not None
    product.assert_nothing_left()
    assert not (product.paths.run / "mqtt.sock").exists(), "the broker ended with its last session"


ANSWERS = LISTENER.replace("the port is 7", "which port").replace(
    'summary = "heard it"', 'summary = "it is 8080"'
)


async def ask_over_a2a(product: Product, to: Address | Pool) -> Task:
    me = Address("somebody", "else", "asker")
    broker = ensure_broker(product.paths)
    login = add_login(product.paths, me)
    line = MqttConnection(broker.endpoint_unix, client_id=str(me), login=login, will=None)
    async with line, Requester(line, me) as requester, asyncio.timeout(40):
        task = await requester.ask(to, new_message("which port?"))
        assert (await requester.get_task(to, task.id)).status == task.status
        return task


@NEEDS_BROKER
@pytest.mark.parametrize("receiver", ["a worker", "a pool"])
def test_an_a2a_request_becomes_a_task_for_a_worker(
    product: Product, repo: Path, scenario: Scenario, receiver: str
) -> None:
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(ANSWERS))
    view = wait_for(product, lambda v: bool(v.team) and v.team[0].state is WorkerState.IDLE)
    unit = ("agentorchestr", view.session_id)
    to = Address(*unit, "w1") if receiver == "a worker" else Pool(*unit, "implementer")
    task = asyncio.run(ask_over_a2a(product, to))
    assert task.status.state is TaskState.COMPLETED
    assert task.status.message is not None
    assert task.status.message.text == "it is 8080"
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said


GIVES_WORK = SPEAKER.replace(
    'tool = "send_message", args = { to = "SESSION/w1", subject = "hello", body = "the port is 7" } }',
    'tool = "delegate", args = { to = "SESSION/w1", task = "which port?" } },\n  { do = "sleep", seconds = 12 }',
)


@NEEDS_BROKER
def test_a_worker_delegates_a_task_to_a_worker_of_another_session(
    product: Product, tmp_path: Path, scenario: Scenario
) -> None:
    one = make_repo(tmp_path / "one", {"README.md": "x\n"})
    two = make_repo(tmp_path / "two", {"README.md": "x\n"})
    first = product.start(*GOAL, cwd=one, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(ANSWERS))
    listening = wait_for(product, lambda v: bool(v.team) and v.team[0].state is WorkerState.IDLE)
    path = tmp_path / "giver.toml"
    path.write_text(GIVES_WORK.replace("SESSION", listening.session_id))
    said = product.run(*GOAL, cwd=two, AGENTORCHESTR_PRACTICE_SCENARIO=str(path))
    assert said.returncode == 0, said.stdout + said.stderr
    assert first.wait(timeout=60) == 0
    if first.stdout is not None:
        first.stdout.close()
    (giver,) = [session_id for session_id in product.sessions() if session_id != listening.session_id]
    with MailStore(product.paths.session(giver) / "mail.sqlite") as store:
        (task,) = store.tasks.recent(Address("agentorchestr", giver, "w1"), Side.REQUESTER, limit=5)
    assert task.state is DelegatedState.COMPLETED
    assert task.result == "it is 8080"


TELLS_MUCH = LISTENER.replace(
    'tool = "report_progress", args = { message = "listening" }',
    'tool = "send_message", args = { to = "local/ann", body = "MUCH" }',
)


@NEEDS_BROKER
def test_large_messages_leave_and_enter_a_session_byte_for_byte(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    much, more = secrets.token_hex(500_000), f"the port is 7\n{secrets.token_hex(50_000)}"

    async def talk() -> SessionView:
        async with Bus("ann", env=product.env) as ann, asyncio.timeout(60):
            async for letter in ann.messages():
                assert await ann.fetch(letter) == much.encode()
                sent = await ann.send(letter.sender, more)
                await ann.wait_for(sent.letter_id, "acted")
                break
        return next(iter(views(product).values()))

    path = scenario(TELLS_MUCH.replace("MUCH", much))
    process = product.start(*GOAL, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=path)
    view = asyncio.run(talk())
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    (letter,) = [m for m in view.messages.values() if "/" in m.sender]
    ref = ref_of(letter.body)
    assert ref is not None
    assert (product.paths.artifacts / ref.sha256).read_text() == more
