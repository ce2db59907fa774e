"""a2a-hub's clients at a session's own local app, when the person asked for them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from agentorchestr.model.request import A2A_HUB
from agentorchestr.supervisor.gear import Gear

if TYPE_CHECKING:
    from agentorchestr.hub.door import Door


@asynccontextmanager
async def hub_door(gear: Gear) -> "AsyncIterator[tuple[Door | None, Mapping[str, Any]]]":
    """Give a door for the session's app, and how its server speaks WebSocket; none without the option."""
    if A2A_HUB not in gear.created.bus_compat:
        yield None, {}
        return
    from agentorchestr.hub.door import Door
    from agentorchestr.hub.hub import Hub
    from agentorchestr.hub.serving import WEBSOCKETS

    async with Hub(gear.environment, broker=gear.created.broker) as hub:
        yield Door(hub, port=gear.port), WEBSOCKETS
