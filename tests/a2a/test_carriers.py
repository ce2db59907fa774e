"""The same exchanges on a real mosquitto and inside one process: two agents with logins and rights of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from agentorchestr.a2a.card import CardPublisher, will_for
from agentorchestr.a2a.card_json import card_json
from agentorchestr.a2a.handler import AgentHandler, completed, working
from agentorchestr.a2a.pool import PoolDispatcher
from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.responder import Responder
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.store import FolderTaskStore
from agentorchestr.a2a.switchboard import Switchboard
from agentorchestr.a2a.topics import Pool
from agentorchestr.a2a.watcher import CardWatcher
from agentorchestr.errors import MissingDependency
from agentorchestr.model.carrier import Delivered, Properties, Transport, Will
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.mqtt.broker import ensure_broker, stop_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from agentorchestr.swarm.inprocess import InProcessTransport, LocalCarrier
from tests.a2a.agents import Echo, Puppet
from tests.a2a.raw import send, states

pytestmark = pytest.mark.anyio
ANN, BEN = Address("acme", "lab", "ann"), Address("acme", "lab", "ben")
LIMIT_S = 20.0
T = TypeVar("T")
AnyTransport = MqttConnection | InProcessTransport
Connect = Callable[..., AbstractAsyncContextManager[AnyTransport]]


@pytest.fixture(params=["mosquitto", "in this process"])
def connect(request: pytest.FixtureRequest, private_paths: Paths) -> Iterator[Connect]:
    if request.param != "mosquitto":
        carrier = LocalCarrier()
        yield lambda who, will=None: InProcessTransport(carrier, who, will=will)
        return
    try:
        broker = ensure_broker(private_paths)
    except MissingDependency as exc:
        pytest.skip(str(exc))

    def connection(who: Address, will: Will | None = None) -> MqttConnection:
        login = add_login(private_paths, who)
        return MqttConnection(broker.endpoint_unix, client_id=str(who), login=login, will=will)

    yield connection
    stop_broker(private_paths)


@dataclass
class Pair:
    asking: AnyTransport
    answering: AnyTransport
    requester: Requester


async def pair(
    connect: Connect, stack: AsyncExitStack, handler: AgentHandler, store: Path | None = None
) -> Pair:
    asking = await stack.enter_async_context(connect(ANN))
    answering = await stack.enter_async_context(connect(BEN))
    kept = FolderTaskStore(store) if store else None
    await stack.enter_async_context(Responder(answering, BEN, handler, store=kept))
    requester = await stack.enter_async_context(Requester(asking, ANN))
    return Pair(asking, answering, requester)


async def soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


async def bounded(wait: Awaitable[T]) -> T:
    async with asyncio.timeout(LIMIT_S):
        return await wait


async def test_a_task_is_done_and_can_be_looked_up(connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        two = await pair(connect, stack, Echo())
        message = new_message("größe\0")
        task = await bounded(two.requester.ask(BEN, message))
        assert (task.state, task.artifacts[0].text) == (TaskState.COMPLETED, "größe\0")
        assert (task.id, task.context_id) == (message.task_id, message.context_id)
        kept = await bounded(two.requester.get_task(BEN, message.task_id))
        assert kept.artifacts == task.artifacts
        assert [one.id for one in await bounded(two.requester.list_tasks(BEN))] == [message.task_id]


async def test_a_question_is_answered_and_the_task_goes_on(connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        two = await pair(connect, stack, Echo())
        first = new_message("really?")
        task = await bounded(two.requester.ask(BEN, first))
        assert task.state is TaskState.INPUT_REQUIRED
        assert task.status.message is not None
        assert task.status.message.text == "which one?"
        more = new_message("blue", task_id=task.id, context_id=task.context_id)
        assert (await bounded(two.requester.ask(BEN, more))).state is TaskState.COMPLETED


async def test_many_tasks_at_once(connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        two = await pair(connect, stack, Echo())
        asks = [two.requester.ask(BEN, new_message(str(number))) for number in range(50)]
        tasks = await bounded(asyncio.gather(*asks))
    assert [task.artifacts[0].text for task in tasks] == [str(number) for number in range(50)]


async def test_a_running_task_is_cancelled(connect: Connect) -> None:
    puppet = Puppet()
    async with AsyncExitStack() as stack:
        two = await pair(connect, stack, puppet)
        message = new_message("x")
        asked = asyncio.ensure_future(two.requester.ask(BEN, message))
        await soon(lambda: bool(puppet.started))
        cancelled = await bounded(two.requester.cancel_task(BEN, message.task_id))
        assert cancelled.state is TaskState.CANCELED
        assert (await bounded(asked)).state is TaskState.CANCELED


async def test_C8_a_broken_connection_loses_no_item(connect: Connect) -> None:
    puppet = Puppet()
    async with AsyncExitStack() as stack:
        two = await pair(connect, stack, puppet)
        asked = asyncio.ensure_future(two.requester.ask(BEN, new_message("x")))
        await soon(lambda: bool(puppet.started))
        two.answering.cut()
        puppet.do(working("half"), completed())
        assert (await bounded(asked)).state is TaskState.COMPLETED


async def test_C8_a_request_waits_for_an_agent_that_is_away(connect: Connect, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with AsyncExitStack() as before:
            await pair(connect, before, Echo(), tmp_path)
        asking = await stack.enter_async_context(connect(ANN))
        requester = await stack.enter_async_context(Requester(asking, ANN))
        asked = asyncio.ensure_future(requester.ask(BEN, new_message("later")))
        await asyncio.sleep(0.2)
        answering = await stack.enter_async_context(connect(BEN))
        await stack.enter_async_context(Responder(answering, BEN, Echo(), store=FolderTaskStore(tmp_path)))
        assert (await bounded(asked)).state is TaskState.COMPLETED


async def test_R6_correlation_of_any_bytes_and_a_broken_request_disturb_nobody(connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        answering = await stack.enter_async_context(connect(BEN))
        await stack.enter_async_context(Responder(answering, BEN, Echo()))
        raw = await stack.enter_async_context(connect(ANN))
        topic = f"$a2a/v1/reply/{ANN}/raw"
        await raw.subscribe([topic])
        for number, payload in enumerate((b"\xff{", send())):
            correlation = b"\xff\xfe\x00%d" % number
            properties = Properties(response_topic=topic, correlation=correlation)
            await raw.publish(f"$a2a/v1/request/{BEN}", payload, properties=properties)
        items = []
        async with asyncio.timeout(LIMIT_S):
            async for incoming in raw.messages():
                incoming.acknowledge()
                items.append(incoming)
                if len(items) == 5:
                    break
    assert items[0].properties.correlation == b"\xff\xfe\x000"
    assert {item.properties.correlation for item in items[1:]} == {b"\xff\xfe\x001"}
    assert states(items) == ["-32700", "SUBMITTED", "WORKING", "artifact", "COMPLETED"]  # type: ignore[arg-type]


def status_of(watcher: CardWatcher) -> tuple[str, str]:
    seen = watcher.card_of(BEN)
    return (seen.status, seen.source) if seen else ("", "")


CARD = card_json(AgentCard(BEN, role="worker"), broker_url="mqtt://localhost")
AT_ONCE = replace(will_for(BEN, CARD), delay_s=0)


async def test_cards_come_and_go(connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        watching = await stack.enter_async_context(connect(ANN))
        watcher = await stack.enter_async_context(CardWatcher(watching, "acme", "lab"))
        answering = await stack.enter_async_context(connect(BEN))
        board = await stack.enter_async_context(Switchboard(answering))
        publisher = CardPublisher(board.branch(), BEN, CARD)
        async with Responder(board.branch(), BEN, Echo(), card=publisher):
            await soon(lambda: status_of(watcher) == ("online", "agent"))
        await soon(lambda: status_of(watcher) == ("offline", "agent"))
        await publisher.unregister()
        await soon(lambda: watcher.card_of(BEN) is None)


async def test_D3_who_is_gone_without_a_word_is_shown_as_offline(connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        watching = await stack.enter_async_context(connect(ANN))
        watcher = await stack.enter_async_context(CardWatcher(watching, "acme", "lab"))
        answering = await stack.enter_async_context(connect(BEN, AT_ONCE))
        await stack.enter_async_context(CardPublisher(answering, BEN, CARD))
        await soon(lambda: status_of(watcher) == ("online", "agent"))
        answering.cut(stay_away=True)
        await soon(lambda: status_of(watcher) == ("offline", "lwt"))


async def test_D3_a_card_is_online_again_after_a_short_break(connect: Connect) -> None:
    async with AsyncExitStack() as stack:
        answering = await stack.enter_async_context(connect(BEN, AT_ONCE))
        await stack.enter_async_context(CardPublisher(answering, BEN, CARD, look_every_s=0.3))
        answering.cut()
        assert await answering.wait_connected(timeout_s=LIMIT_S)
        watching = await stack.enter_async_context(connect(ANN))
        watcher = await stack.enter_async_context(CardWatcher(watching, "acme", "lab"))
        await soon(lambda: status_of(watcher) == ("online", "agent"))


async def test_D10_nobody_writes_the_card_of_another(connect: Connect) -> None:
    async with connect(ANN) as raw:
        assert await raw.publish(f"$a2a/v1/discovery/{BEN}", b"{}", retain=True) is Delivered.REFUSED


async def test_a_pool_is_served_by_its_dispatcher(connect: Connect) -> None:
    pool, dispatcher = Pool("acme", "lab", "coders"), Address("acme", "lab", "pool")
    async with AsyncExitStack() as stack:
        two = await pair(connect, stack, Echo())
        transport: Transport = await stack.enter_async_context(connect(dispatcher))
        await stack.enter_async_context(PoolDispatcher(transport, dispatcher, pool, lambda: [BEN]))
        task = await bounded(two.requester.ask(pool, new_message("x")))
        assert task.state is TaskState.COMPLETED
        assert two.requester.receiver(pool, task.id) == BEN
