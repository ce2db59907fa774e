"""``--bus-compat``: an agent of the bus that speaks with agents of swarmbus, too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentorchestr.bus.line import SESSION_EXPIRY_S, Line, Place
from agentorchestr.model.carrier import Transport
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.process import offload
from agentorchestr.swarm.swarmbus import SwarmbusTransport, presence_will


@asynccontextmanager
async def speaking(place: Place, line: Line, transport: Transport) -> AsyncIterator[Transport]:
    """Give *transport*, and swarmbus on it if that is on. Raises ``UsageError``, ``BusError``."""
    if not place.compat:
        yield transport
    elif not place.is_private:
        yield telling(place, transport, shows=True)
    else:
        from agentorchestr.mqtt.logins import add_swarmbus_login

        login = await offload(add_swarmbus_login, place.paths, place.me)
        there = MqttConnection(
            line.endpoint,
            client_id=login.user,
            login=login,
            will=presence_will(login.user),
            session_expiry_s=SESSION_EXPIRY_S,
        )
        async with there:
            yield SwarmbusTransport(transport, place.me, there=there)


def telling(place: Place, transport: Transport, *, shows: bool = False) -> Transport:
    """*transport*, and letters to swarmbus on it if that is on."""
    return SwarmbusTransport(transport, place.me, shows=shows) if place.compat else transport
