"""A real mosquitto of its own for each test, and raw connections to it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from agentorchestr.clock import until
from agentorchestr.model.carrier import Transport, Will
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker, stop_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from agentorchestr.process import start_time


@pytest.fixture(autouse=True)
def no_broker_is_left(private_paths: Paths) -> Iterator[None]:
    """End what a test that failed half-way left running."""
    yield
    stop_broker(private_paths)


@pytest.fixture
def broker(private_paths: Paths) -> BrokerHandle:
    """A running broker; it ends with the test."""
    return ensure_broker(private_paths)


class BrokerWorld:
    """Connections of agents to one broker, each with its own login."""

    def __init__(self, paths: Paths, endpoint: Endpoint) -> None:
        self.paths = paths
        self.endpoint = endpoint

    def transport(
        self, address: Address, *, will: Will | None = None, session_expiry_s: int = 300
    ) -> AbstractAsyncContextManager[MqttConnection]:
        return MqttConnection(
            self.endpoint,
            client_id=str(address),
            login=add_login(self.paths, address),
            will=will,
            session_expiry_s=session_expiry_s,
        )

    async def cut(self, transport: Transport) -> None:
        assert isinstance(transport, MqttConnection)
        transport.cut()

    async def kill(self, transport: Transport) -> None:
        assert isinstance(transport, MqttConnection)
        transport.cut(stay_away=True)


@pytest.fixture
def world(broker: BrokerHandle, private_paths: Paths) -> BrokerWorld:
    return BrokerWorld(private_paths, broker.endpoint_unix)


def kill_hard(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: start_time(pid) is None, within_s=10)


async def soon(condition: object, *, within_s: float = 10.0) -> None:
    """Wait on the loop until *condition*, a function, is true."""
    assert callable(condition)
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)
