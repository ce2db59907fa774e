"""Who is on the carrier: cards as they were seen, and whether they still hold."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import Incoming, Properties
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.swarm import topics
from agentorchestr.swarm.card_wire import decode_card, status_source
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.ids import new_id

LEASE_S = 180.0
"""Three times as long as an agent waits before it shows its card again."""
CARDS_KEPT = 10_000

CardListener = Callable[[AgentCard | None, AgentCard | None], None]
"""Called with the card before and the card now, None for no card; must not block."""


class Directory:
    """What an exchange's carrier shows of agents. What is no card changes nothing.

    Nothing is heard before the first ``complete``.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._clock = exchange.clock
        self._cards: dict[Address, AgentCard] = {}
        self._sources: dict[Address, str] = {}
        self._listeners: list[CardListener] = []
        self._back: dict[bytes, asyncio.Event] = {}
        self._mine = topics.own_reply(exchange.me, "directory")
        self._listening = False
        self._starting = asyncio.Lock()

    async def complete(self, *, timeout_s: float = 5.0) -> bool:
        """Whether every card on the carrier is known now, or False after *timeout_s*.

        A message to ourselves comes back behind all that was there before it; no wait is guessed.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                # Whoever comes second must not ask before the cards are on their way.
                async with self._starting:
                    if not self._listening:
                        await self._exchange.listen([self._mine], self._see_sentinel)
                        await self._exchange.listen([topics.CARDS], self._see_card)
                        self._listening = True
                while not await self._ask():
                    await self._exchange.transport.wait_connected(timeout_s=timeout_s)
                return True
        return False

    def agents(self, capability: str = "", *, online: bool | None = None) -> tuple[AgentCard, ...]:
        """Cards seen, our own too, by address: with a skill of exactly this name, and on line or not."""
        now = self._clock.now()
        me = replace(self._exchange.card, online=True, seen_at=now)
        cards = {**self._cards, me.address: me}
        return tuple(
            card
            for card in (_with_lease(cards[address], now) for address in sorted(cards))
            if (not capability or any(skill.name == capability for skill in card.skills))
            and (online is None or card.online is online)
        )

    def find(self, address: Address) -> AgentCard | None:
        """One agent's card as it was last seen."""
        card = self._cards.get(address)
        return None if card is None else _with_lease(card, self._clock.now())

    def source(self, address: Address) -> str:
        """Who says that the agent is online or not: itself, its will, the broker, or its card's age."""
        card = self._cards.get(address)
        if card is not None and card.online and not _with_lease(card, self._clock.now()).online:
            return "age"
        return self._sources.get(address, "")

    def follow(self, listener: CardListener) -> None:
        """Tell *listener* of every card from now on."""
        self._listeners.append(listener)

    async def _ask(self) -> bool:
        """Send a message to ourselves and wait until it is back; False when there is no connection."""
        mark = new_id().encode()
        back = self._back[mark] = asyncio.Event()
        try:
            await self._exchange.transport.publish(
                self._mine, b"", properties=Properties(correlation=mark, expiry_s=60)
            )
        except CarrierGone:
            return False
        else:
            await back.wait()
            return True
        finally:
            del self._back[mark]

    def _see_sentinel(self, message: Incoming) -> None:
        message.acknowledge()
        back = self._back.get(message.properties.correlation)
        if back is not None:
            back.set()

    def _see_card(self, message: Incoming) -> None:
        message.acknowledge()
        if not message.payload:
            self._remove(message)
            return
        card = decode_card(message, now=self._clock.now())
        if card is None:
            return
        before = self._cards.get(card.address)
        if before is None and len(self._cards) >= CARDS_KEPT:
            return
        self._cards[card.address] = card
        self._sources[card.address] = status_source(message.properties)
        if card.online and not message.retained and not _same_life(before, card):
            self._exchange.hurry(card.address)
        self._tell(before, card)

    def _remove(self, message: Incoming) -> None:
        with contextlib.suppress(ValueError, TypeError):
            owner = topics.card_owner(message.topic)
            self._sources.pop(owner, None)
            before = self._cards.pop(owner, None)
            if before is not None:
                self._tell(before, None)

    def _tell(self, before: AgentCard | None, now: AgentCard | None) -> None:
        for listener in self._listeners:
            listener(before, now)


def _with_lease(card: AgentCard, now: float) -> AgentCard:
    """*card*, not online when it is one of ours and was not shown again in time."""
    has_lapsed = bool(card.instance) and now - card.seen_at > LEASE_S
    return replace(card, online=False) if card.online and has_lapsed else card


def _same_life(before: AgentCard | None, now: AgentCard) -> bool:
    return before is not None and before.online and before.instance == now.instance
