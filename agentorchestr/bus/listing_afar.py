"""A listing with the whole library, where reading by hand is not enough: a named broker, or two buses."""

import asyncio
import secrets
import time
from uuid import uuid4

from agentorchestr.bus.line import SESSION_EXPIRY_S, Line, Place
from agentorchestr.bus.listing import CONNECTS_S, LISTING_S, listed
from agentorchestr.bus.speaking import telling
from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import Properties, Transport
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import address_of_login
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import decode_card

MARK_S = 60
TRIES = 5


def list_over(line: Line, place: Place) -> list[AgentCard]:
    """Everybody on the broker of *line*. Blocks; raises ``BusError``."""

    async def work() -> list[AgentCard]:
        made, me = _listener(line, place)
        async with made as connection:
            for left in reversed(range(TRIES)):
                if not await connection.wait_connected(timeout_s=CONNECTS_S if not place.is_private else 1.0):
                    raise connection.trouble or CarrierGone(f"no broker answers at {line.endpoint}")
                try:
                    return await list_cards(telling(place, connection), me)
                except CarrierGone:
                    # A running instance with our login took its name back.
                    if connection.connected or not left:
                        raise
        raise AssertionError

    return asyncio.run(work())


def _listener(line: Line, place: Place) -> tuple[MqttConnection, Address]:
    """A connection to list on, and the address below which it may listen."""
    own = address_of_login(line.login)
    if own is not None and not line.names_bound:
        # A login that is an address has rights below it only, and the broker may make it the client id:
        # what is kept under it is that agent's and stays.
        me, client_id, expiry_s = own, str(own), SESSION_EXPIRY_S
    else:
        me, expiry_s = place.me, 0
        client_id = str(me) if line.names_bound else f"{me}.list.{secrets.token_hex(6)}"
    made = MqttConnection(
        line.endpoint, client_id=client_id, login=line.login, will=None, session_expiry_s=expiry_s
    )
    return made, me


async def list_cards(transport: Transport, me: Address) -> list[AgentCard]:
    """Everybody on the broker, by address, over a connection used for nothing else.

    A message to ourselves tells the end: what was retained before has come when it comes back. What is no
    card is left out. Raises ``CarrierGone`` when the listing does not become complete.
    """
    end, mark = topics.own_reply(me, "listing"), uuid4().hex.encode()
    cards: dict[Address, AgentCard] = {}
    try:
        async with asyncio.timeout(LISTING_S):
            await transport.subscribe([topics.CARDS, end])
            await transport.publish(end, mark, properties=Properties(expiry_s=MARK_S))
            async for message in transport.messages():
                if message.topic == end and message.payload == mark:
                    message.acknowledge()
                    return listed(cards.values())
                if (card := decode_card(message, now=time.time())) is not None:
                    cards[card.address] = card
                if message.topic == end or topics.matches(topics.CARDS, message.topic):
                    message.acknowledge()  # what else was kept for us is our inbox's
    except TimeoutError:
        pass
    raise CarrierGone("the broker did not list its agents in time", hint="try again")
