"""What the probe finds on the real mosquitto, each ability for itself."""

import asyncio

import pytest

from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.broker import BrokerAbilities
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import BrokerHandle
from agentorchestr.mqtt.broker_files import PACKET_BYTES
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.logins import add_login
from agentorchestr.mqtt.probe import probe_broker
from agentorchestr.paths import Paths
from tests.swarm.transport_contract import stays_silent

pytestmark = pytest.mark.anyio

MOSQUITTO = BrokerAbilities(
    a2a_topics=True,
    shared_on_a2a=False,
    shared_on_a2a_granted=True,  # it never delivers on them
    shared=True,
    retained=True,
    will=True,
    will_delay=True,
    session_expiry=True,
    nobody_there=True,
    packet_bytes=PACKET_BYTES,
)


async def test_the_private_broker_can_all_but_pools(broker: BrokerHandle) -> None:
    assert await probe_broker(broker.endpoint_unix, broker.admin) == MOSQUITTO
    admin = MqttConnection(
        broker.endpoint_tcp, client_id="admin", login=broker.admin, will=None, session_expiry_s=0
    )
    async with admin as line:
        await line.subscribe(["$a2a/#", "#"])
        await stays_silent(line)  # nothing of the probe is left


async def test_an_agent_can_probe_with_its_own_rights(broker: BrokerHandle, private_paths: Paths) -> None:
    me = Address("agentorchestr", "local", "ann")
    found = await probe_broker(broker.endpoint_tcp, add_login(private_paths, me), address=me)
    assert found == BrokerAbilities(**{**vars(MOSQUITTO), "shared": False})


async def test_rights_that_are_missing_show_as_abilities_that_are(
    broker: BrokerHandle, private_paths: Paths
) -> None:
    login = add_login(private_paths, Address("agentorchestr", "local", "ann"))
    async with asyncio.timeout(60):
        found = await probe_broker(broker.endpoint_tcp, login, address=Address("some", "body", "else"))
    assert not found.retained
    assert not found.a2a_topics
    assert found.nobody_there


async def test_a_wrong_login_is_refused(broker: BrokerHandle) -> None:
    with pytest.raises(CarrierRefused):
        await probe_broker(broker.endpoint_tcp, Login("admin", "guessed"))


async def test_no_broker_is_no_abilities() -> None:
    with pytest.raises(CarrierGone):
        await probe_broker(Endpoint(host="127.0.0.1", port=1), None)
