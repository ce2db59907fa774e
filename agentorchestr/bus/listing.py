"""A listing of the agents on a broker for who only wants that; an agent itself has ``swarm.directory``."""

import asyncio
import secrets
import time
from dataclasses import replace
from uuid import uuid4

from agentorchestr.bus.home import InstanceLock
from agentorchestr.bus.line import SESSION_EXPIRY_S, Line, Place, known_login, open_line
from agentorchestr.bus.names import ORG
from agentorchestr.bus.neighbours import speaking
from agentorchestr.errors import BusError, CarrierGone
from agentorchestr.model.carrier import Properties, Transport
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, address_of_login
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import decode_card

GHOST_S = 180.0
"""A card is shown anew every minute; one that says online and is older than this is a ghost."""
LISTING_S = 5.0
CONNECTS_S = 5.0
MARK_S = 60
TRIES = 5
LISTER = Address(ORG, "cli", "list")
"""Who asks when nobody in particular does."""
SEATS = 8
"""Listings that may run at once without one cutting the other off: a name is for one connection."""


def list_agents_at(place: Place) -> list[AgentCard]:
    """Everybody on the broker of *place*, by address, without being there as an agent. Blocks.

    Raises ``BusError``.
    """
    # Who only looks needs no name on swarmbus.
    seat, lock = _seat(replace(place, compat=""))
    try:
        if seat.is_private and (login := known_login(seat)) is not None:
            line = Line(Endpoint(unix=seat.paths.run / "mqtt.sock"), login, names_bound=True)
            try:
                return _list(line, replace(seat, compat=place.compat))
            except BusError:
                pass  # it was ended, or its logins were made anew
        with open_line(seat) as line:
            return _list(line, replace(seat, compat=place.compat))
    finally:
        lock.release()


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
                    return [_aged(cards[address]) for address in sorted(cards)]
                if (card := decode_card(message, now=time.time())) is not None:
                    cards[card.address] = card
                if message.topic == end or topics.matches(topics.CARDS, message.topic):
                    message.acknowledge()  # what else was kept for us is our inbox's
    except TimeoutError:
        pass
    raise CarrierGone("the broker did not list its agents in time", hint="try again")


def can(card: AgentCard, capability: str) -> bool:
    """Whether an agent names *capability*; an empty one everybody has."""
    return not capability or any(skill.name == capability for skill in card.skills)


def _aged(card: AgentCard) -> AgentCard:
    return replace(card, online=card.online and card.seen_at >= time.time() - GHOST_S)


def _seat(place: Place) -> tuple[Place, InstanceLock]:
    """A name of ours that no other listing uses now."""
    for number in range(SEATS):
        seat = replace(place, me=Address(LISTER.org, LISTER.unit, f"{LISTER.agent}-{number}"))
        lock = InstanceLock(seat.home)
        if lock.try_lock():
            return seat, lock
    raise BusError(f"{SEATS} listings run already", hint="try again")


def _list(line: Line, place: Place) -> list[AgentCard]:
    async def work() -> list[AgentCard]:
        made, me = _listener(line, place)
        async with made as connection:
            for left in reversed(range(TRIES)):
                if not await connection.wait_connected(timeout_s=CONNECTS_S if not place.is_private else 1.0):
                    raise connection.trouble or CarrierGone(f"no broker answers at {line.endpoint}")
                try:
                    return await list_cards(speaking(place, connection, sends_only=True), me)
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
