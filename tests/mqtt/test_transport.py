"""The contract of every transport, on the real mosquitto."""

import pytest

from agentorchestr.mqtt.broker import BrokerHandle
from agentorchestr.paths import Paths
from tests.mqtt.conftest import BrokerWorld
from tests.swarm.transport_contract import CONTRACT, Contract

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
async def test_over_a_unix_socket(promise: Contract, world: BrokerWorld) -> None:
    await promise(world)


@pytest.mark.parametrize("promise", CONTRACT[:8], ids=lambda promise: promise.__name__)
async def test_over_loopback_tcp(promise: Contract, broker: BrokerHandle, private_paths: Paths) -> None:
    await promise(BrokerWorld(private_paths, broker.endpoint_tcp))
