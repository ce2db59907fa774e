"""A listing of the agents on a broker for who only wants that; an agent itself has ``swarm.directory``."""

import asyncio
import os
import time
from dataclasses import replace
from uuid import uuid4

from agentorchestr.bus.home import InstanceLock
from agentorchestr.bus.line import Line, Place, known_login, open_line
from agentorchestr.bus.names import ORG
from agentorchestr.bus.neighbours import speaking
from agentorchestr.errors import BusError, CarrierGone
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import decode_card

GHOST_S = 180.0
"""A card is shown anew every minute; one that says online and is older than this is a ghost."""
LISTING_S = 5.0
CONNECTS_S = 5.0
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
    end = topics.own_reply(me, f"listing-{uuid4().hex}")
    cards: dict[Address, AgentCard] = {}
    try:
        async with asyncio.timeout(LISTING_S):
            await transport.subscribe([topics.CARDS, end])
            await transport.publish(end, b"{}")
            async for message in transport.messages():
                message.acknowledge()
                if message.topic == end:
                    return [_aged(cards[address]) for address in sorted(cards)]
                if (card := decode_card(message, now=time.time())) is not None:
                    cards[card.address] = card
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
        # A login of a broker that binds names can only be used under its own.
        name = str(place.me) if line.names_bound or line.login is None else line.login.user
        made = MqttConnection(
            line.endpoint,
            client_id=name if line.names_bound else f"{name}.list.{os.getpid()}",
            login=line.login,
            will=None,
            session_expiry_s=0,
        )
        async with made as connection:
            if not await connection.wait_connected(timeout_s=CONNECTS_S if not place.is_private else 1.0):
                raise connection.trouble or CarrierGone(f"no broker answers at {line.endpoint}")
            return await list_cards(speaking(place, connection, sends_only=True), place.me)

    return asyncio.run(work())
