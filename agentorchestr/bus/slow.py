"""Publish with the whole library, where posting by hand is not enough: over TLS, or without a login."""

import asyncio
from collections.abc import Sequence

from agentorchestr.bus.line import SESSION_EXPIRY_S, Line
from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import Delivered, Properties
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.post import Parcel


def publish_on(line: Line, me: str, parcels: Sequence[Parcel]) -> list[Delivered]:
    """Publish *parcels* as *me* and give the broker's answers. Raises ``BusError``."""
    return asyncio.run(_publish(line, me, parcels))


async def _publish(line: Line, me: str, parcels: Sequence[Parcel]) -> list[Delivered]:
    made = MqttConnection(
        line.endpoint, client_id=me, login=line.login, will=None, session_expiry_s=SESSION_EXPIRY_S
    )
    async with made as connection:
        if not connection.connected:
            raise connection.trouble or CarrierGone(f"no broker answers at {line.endpoint}")
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    connection.publish(
                        parcel.topic, parcel.payload, properties=Properties(expiry_s=parcel.expiry_s)
                    )
                )
                for parcel in parcels
            ]
        return [task.result() for task in tasks]
