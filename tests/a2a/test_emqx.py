"""The MQTT profile's own Python SDK on the other side, on a real mosquitto, each with a login of its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from agentorchestr.a2a.card_json import read_card
from agentorchestr.a2a.handler import AgentHandler, artifact, completed, working
from agentorchestr.a2a.limits import ResponderLimits
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.a2a.watcher import CardWatcher
from agentorchestr.errors import MissingDependency
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker, stop_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from tests.a2a.agents import Echo, Puppet

theirs = pytest.importorskip("a2a_over_mqtt", reason="a2a-over-mqtt is not installed")
pytestmark = pytest.mark.anyio
OURS, THEIRS = Address("acme", "lab", "ann"), Address("acme", "lab", "emqx")
LIMIT_S = 20.0


class Desk:
    """A broker, and the ways in for both sides."""

    def __init__(self, paths: Paths, broker: BrokerHandle) -> None:
        self.paths, self.broker = paths, broker
        self.topics = theirs.TopicSpace(org="acme", unit="lab")

    def ours(self) -> MqttConnection:
        login = add_login(self.paths, OURS)
        return MqttConnection(self.broker.endpoint_unix, client_id=str(OURS), login=login, will=None)

    def their_config(self) -> Any:
        login = add_login(self.paths, THEIRS)
        tcp = self.broker.endpoint_tcp
        return theirs.MqttConfig(host=tcp.host, port=tcp.port, username=login.user, password=login.password)


@pytest.fixture
def desk(private_paths: Paths) -> Iterator[Desk]:
    try:
        broker = ensure_broker(private_paths)
    except MissingDependency as exc:
        pytest.skip(str(exc))
    yield Desk(private_paths, broker)
    stop_broker(private_paths)


@asynccontextmanager
async def our_agent(desk: Desk, handler: AgentHandler) -> AsyncIterator[None]:
    async with desk.ours() as line, Responder(line, OURS, handler, limits=ResponderLimits(hold_s=0.1)):
        yield


async def their_question(desk: Desk, text: str, task_id: str = "") -> list[tuple[str, str]]:
    requester = theirs.Requester(desk.their_config(), desk.topics, requester_id=THEIRS.agent)
    request = theirs.A2ARequest(text=text, request_id="r1", task_id=task_id or str(uuid.uuid4()))
    async with asyncio.timeout(LIMIT_S):
        return [item async for item in requester.stream(OURS.agent, request.to_json(), "corr-1")]


async def test_their_requester_asks_our_agent(desk: Desk) -> None:
    async with our_agent(desk, Echo()):
        items = await their_question(desk, "hello")
    assert items[-1][0] == theirs.REPLY_TERMINAL
    assert any(text == "hello" for _, text in items)


async def test_their_requester_is_asked_back(desk: Desk) -> None:
    async with our_agent(desk, Echo()):
        items = await their_question(desk, "really?")
    assert items[-1] == (theirs.REPLY_INPUT_REQUIRED, "which one?")


async def test_their_requester_waits_through_long_work(desk: Desk) -> None:
    puppet = Puppet()
    async with our_agent(desk, puppet):
        asked = asyncio.ensure_future(their_question(desk, "x"))
        await asyncio.sleep(0.4)
        puppet.do(working("half"), artifact("out"), completed())
        items = await asked
    assert [kind for kind, _ in items][-2:] == [theirs.REPLY_ARTIFACT, theirs.REPLY_TERMINAL]


async def test_their_retry_starts_nothing_new(desk: Desk) -> None:
    task_id, echo = str(uuid.uuid4()), Echo()
    async with our_agent(desk, echo):
        first = await their_question(desk, "hello", task_id)
        again = await their_question(desk, "hello", task_id)
    assert first[-1][0] == theirs.REPLY_TERMINAL
    # Each of their requests has a message id of its own, so this is no retry but a turn for a task that is over.
    assert again[-1][0] == theirs.REPLY_ERROR
    assert len(echo.started) == 1


class TheirAgent(theirs.Responder):  # type: ignore[misc]
    async def on_request(self, request: Any, stream: Any) -> str:
        await stream("thinking")
        if request.text == "wait":
            await asyncio.Event().wait()
        if request.text == "break":
            raise RuntimeError("no")
        return f"you said {request.text}"


@asynccontextmanager
async def asking_theirs(desk: Desk) -> AsyncIterator[tuple[Requester, CardWatcher]]:
    card = theirs.build_card(name="Theirs", description="another make", url="mqtt://localhost")
    agent = TheirAgent(agent_id=THEIRS.agent, mqtt=desk.their_config(), topics=desk.topics, card=card)
    async with AsyncExitStack() as stack:
        line = await stack.enter_async_context(desk.ours())
        running = asyncio.ensure_future(agent.run())
        stack.callback(running.cancel)
        board = await stack.enter_async_context(Switchboard(line))
        watcher = await stack.enter_async_context(CardWatcher(board.branch(), "acme"))
        requester = await stack.enter_async_context(Requester(board.branch(), OURS))
        there = await watcher.wait_until(lambda: watcher.card_of(THEIRS) is not None, timeout_s=LIMIT_S)
        assert there, running
        yield requester, watcher
        running.cancel()
        await asyncio.wait([running])


async def test_our_requester_asks_their_agent(desk: Desk) -> None:
    async with asking_theirs(desk) as (requester, watcher), asyncio.timeout(LIMIT_S):
        seen = watcher.card_of(THEIRS)
        assert seen is not None
        assert not seen.offline
        assert read_card(seen.card).speaks_mqtt
        task = await requester.ask(THEIRS, new_message("hello"))
        assert (task.state, task.artifacts[0].text) == (TaskState.COMPLETED, "you said hello")
        broken = await requester.ask(THEIRS, new_message("break"))
        assert broken.state is TaskState.FAILED


async def test_our_requester_cancels_their_task(desk: Desk) -> None:
    async with asking_theirs(desk) as (requester, _), asyncio.timeout(LIMIT_S):
        message = new_message("wait")
        asked = asyncio.ensure_future(requester.ask(THEIRS, message))
        await asyncio.sleep(0.3)
        assert (await requester.cancel_task(THEIRS, message.task_id)).state is TaskState.CANCELED
        assert (await asked).state is TaskState.CANCELED
