"""A listing of the agents on a broker for who only wants that; an agent itself has ``swarm.directory``."""

import asyncio
import time
from dataclasses import replace
from uuid import uuid4

from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import decode_card

GHOST_S = 180.0
"""A card is shown anew every minute; one that says online and is older than this is a ghost."""
LISTING_S = 5.0


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
