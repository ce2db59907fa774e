"""What an agent opens when it comes to the bus: the way to the broker, and its connection."""

import time
from contextlib import AsyncExitStack

from agentorchestr.bus.line import SESSION_EXPIRY_S, Line, Place, open_line
from agentorchestr.model.mail import AgentCard
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.process import offload
from agentorchestr.swarm.card_wire import will_of

WILL_DELAY_S = 5


async def enter_line(stack: AsyncExitStack, place: Place) -> Line:
    """The broker of *place*, ours to use until *stack* is left."""
    opened = open_line(place)
    line = await offload(opened.__enter__)

    async def leave() -> None:
        await offload(opened.__exit__, None, None, None)

    stack.push_async_callback(leave)
    return line


def connection(place: Place, line: Line, card: AgentCard) -> MqttConnection:
    """The connection of *place*'s agent, not entered yet; its will shows *card* as gone."""
    return MqttConnection(
        line.endpoint,
        client_id=str(place.me),
        login=line.login,
        will=will_of(card, at=time.time(), delay_s=WILL_DELAY_S),
        session_expiry_s=SESSION_EXPIRY_S,
    )
