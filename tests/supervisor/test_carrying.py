import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from agentorchestr.clock import SYSTEM_CLOCK
from agentorchestr.errors import MissingDependency, UsageError
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import Address, AgentCard, Letter
from agentorchestr.model.swarmbus import inbox, neighbour, presence
from agentorchestr.mqtt.broker import stop_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint
from agentorchestr.mqtt.logins import add_swarmbus_login, open_to_swarmbus
from agentorchestr.paths import Paths, ensure_private
from agentorchestr.supervisor.membership import join
from agentorchestr.supervisor.post import Share
from agentorchestr.swarm.artifacts import Shelf
from agentorchestr.swarm.card_wire import will_of
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.wiring import carrying
from tests.swarm.conftest import soon

SHARE = cast("Share", None)
pytestmark = pytest.mark.anyio


async def test_without_a_broker_program_a_session_has_its_own_bus_and_what_to_type_is_told(
    private_paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingDependency("mosquitto is not installed", hint="apt-get install mosquitto")

    monkeypatch.setattr(carrying, "ensure_broker", missing)
    ensure_private(private_paths.session("s1"))
    found = await carrying.open_carrier(private_paths, "s1", broker_url="", env={}, share=SHARE)
    assert isinstance(found, carrying.Carrier)
    assert "apt-get install mosquitto" in found.off_bus
    lead, worker = (AgentCard(Address("agentorchestr", "s1", name)) for name in ("lead", "w1"))
    shelf = Shelf(tmp_path / "artifacts")
    async with (
        found.dial(lead.address, will_of(lead, at=0.0)) as one,
        found.dial(worker.address, will_of(worker, at=0.0)) as two,
        join(one, found.store, lead, shelf=shelf, clock=SYSTEM_CLOCK, names_bound=True) as asks,
        join(two, found.store, worker, shelf=shelf, clock=SYSTEM_CLOCK, names_bound=True) as works,
    ):
        await asks.exchange.send(Letter("", lead.address, worker.address, "hello"))
        [letter] = await works.exchange.take(timeout_s=10)
        assert (letter.body, letter.verified) == ("hello", True)
        assert await asks.directory.complete(timeout_s=10)
        await soon(lambda: len(asks.directory.agents(online=True)) == 2)
    found.store.close()


@pytest.mark.parametrize("url", ["mqtt://me:pw@host", "http://host", "unix:relative"])
async def test_a_broker_that_cannot_be_used_is_one_clear_error(private_paths: Paths, url: str) -> None:
    ensure_private(private_paths.session("s1"))
    with pytest.raises(UsageError) as told:
        await carrying.open_carrier(private_paths, "s1", broker_url=url, env={}, share=SHARE)
    assert "pw" not in str(told.value)


@asynccontextmanager
async def alone(line: Transport, _: str) -> AsyncIterator[Transport]:
    yield line


async def test_agents_of_a_session_speak_swarmbus_when_it_is_asked_for(private_paths: Paths) -> None:
    lead, planner = Address("agentorchestr", "s1", "lead"), neighbour("planner")
    ensure_private(private_paths.session("s1"))
    found = await carrying.open_carrier(
        private_paths, "s1", broker_url="", env={}, share=alone, compat="swarmbus"
    )
    assert isinstance(found, carrying.Carrier)
    try:
        card = AgentCard(lead)
        async with (
            found.dial(lead, will_of(card, at=0.0)) as line,
            found.share(line, "lead") as transport,
            Exchange(transport, found.store, lead, card=card, names_bound=True) as exchange,
        ):
            login = add_swarmbus_login(private_paths, planner)
            endpoint = Endpoint(host="127.0.0.1", port=open_to_swarmbus(private_paths))
            async with MqttConnection(endpoint, client_id="x", login=login, will=None) as there:
                await there.subscribe([inbox("planner"), presence("s1-lead")])
                told = {"from": "planner", "to": "s1-lead", "subject": "", "body": "hello"}
                await there.publish(inbox("s1-lead"), json.dumps(told).encode())
                [letter] = await exchange.take(timeout_s=10)
                assert (letter.sender, letter.body, letter.verified) == (planner, "hello", False)
                await exchange.send(Letter("", lead, letter.sender, "back"))
                came = [await anext(there.messages()) for _ in range(2)]
                assert {message.topic for message in came} == {inbox("planner"), presence("s1-lead")}
        found.store.close()
        carrying.close_carrier(private_paths, "s1", (lead,), private=True)
        assert str(lead) not in (private_paths.state / "broker/swarmbus.json").read_text()
    finally:
        stop_broker(private_paths)
