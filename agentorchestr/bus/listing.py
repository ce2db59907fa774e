"""A listing of the agents on a broker for who only wants that; an agent itself has ``swarm.directory``."""

import secrets
import time
from collections.abc import Iterable
from dataclasses import replace

from agentorchestr.bus.home import InstanceLock
from agentorchestr.bus.line import Line, Place, known_login, open_line
from agentorchestr.bus.names import ORG
from agentorchestr.errors import BusError
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.mqtt.endpoint import Endpoint
from agentorchestr.mqtt.glance import glance
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


def can(card: AgentCard, capability: str) -> bool:
    """Whether an agent names *capability*; an empty one everybody has."""
    return not capability or any(skill.name == capability for skill in card.skills)


def listed(cards: Iterable[AgentCard]) -> list[AgentCard]:
    """*cards* by address, a ghost as one that is not there."""
    oldest = time.time() - GHOST_S
    return [
        replace(card, online=card.online and card.seen_at >= oldest)
        for card in sorted(cards, key=lambda card: card.address)
    ]


def _seat(place: Place) -> tuple[Place, InstanceLock]:
    """A name of ours that no other listing uses now."""
    for number in range(SEATS):
        seat = replace(place, me=Address(LISTER.org, LISTER.unit, f"{LISTER.agent}-{number}"))
        lock = InstanceLock(seat.home)
        if lock.try_lock():
            return seat, lock
    raise BusError(f"{SEATS} listings run already", hint="try again")


def _list(line: Line, place: Place) -> list[AgentCard]:
    if not place.is_private or place.compat or line.login is None:
        from agentorchestr.bus.listing_afar import list_over

        return list_over(line, place)
    seen = glance(
        line.endpoint,
        line.login,
        topics.CARDS,
        client_id=line.login.user,
        end=topics.own_reply(place.me, f"listing-{secrets.token_hex(8)}"),
        timeout_s=LISTING_S,
    )
    now = time.time()
    cards = (decode_card(message, now=now) for message in seen)
    # The last one of an agent counts.
    return listed({card.address: card for card in cards if card is not None}.values())
