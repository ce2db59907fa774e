"""An agent's mail for an MCP client: as the running instance, or beside one that runs already."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from agentorchestr.bus.bus import Bus
from agentorchestr.bus.delegating import leave_task
from agentorchestr.bus.fetching import ask_instance, named_in
from agentorchestr.bus.inbox import PAGE, take_unread, unread
from agentorchestr.bus.letters import Words, fitted, make_letter, options_of
from agentorchestr.bus.line import Place
from agentorchestr.bus.listing import can, list_agents_at
from agentorchestr.bus.names import address_of, receivers_of
from agentorchestr.bus.neighbours import check_speech
from agentorchestr.bus.quick import send_now
from agentorchestr.bus.shapes import Shape, card_shape, letter_shape, standing_shape, task_shape
from agentorchestr.clock import SYSTEM_CLOCK
from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import Address, AgentCard, LetterState, Standing
from agentorchestr.process import offload
from agentorchestr.swarm.artifacts import ArtifactRef, excerpt
from agentorchestr.swarm.fetching import NotFetched

SETTLES_S = 0.3
LOOK_S = 0.02
FETCH_S = 20.0
"""Less than a client bears of which nothing is known."""


class BusMail:
    """Does what the tools ask for; a ``Mail``. *bus* is None beside another instance of the name."""

    def __init__(self, place: Place, store: MailStore, bus: Bus | None) -> None:
        self._place = place
        self._store = store
        self._bus = bus

    async def send(self, to: list[str], body: str, words: Words) -> Shape:
        """Send, and tell how far each letter is: at the broker, or kept because nobody is there."""
        body, options = await offload(fitted, self._place.shelf, body, options_of(words))
        letters = [make_letter(self._place.me, one, body, options) for one in receivers_of(to)]
        check_speech(self._place, letters)
        if self._bus is None:
            standings: Sequence[Standing] = await offload(send_now, self._place, letters)
        else:
            await self._bus.exchange.send_many(letters)
            standings = [
                await self._bus.wait_for(letter.letter_id, LetterState.SENT, timeout_s=SETTLES_S)
                for letter in letters
            ]
        return {"sent": [standing_shape(standing) for standing in standings]}

    async def read(self, limit: int) -> Shape:
        """Take what is new."""
        letters = await offload(take_unread, self._store, self._place.me, limit=limit)
        self._ring()
        left = await offload(unread, self._store, self._place.me, limit=PAGE)
        return {"messages": [letter_shape(letter) for letter in letters], "more": len(left)}

    async def wait(self, timeout_s: float) -> Shape:
        """Take what is new, once there is something."""
        deadline = time.monotonic() + timeout_s
        while not unread(self._store, self._place.me, limit=1) and time.monotonic() < deadline:
            await SYSTEM_CLOCK.pause(LOOK_S)
        return await self.read(PAGE)

    async def agents(self, capability: str) -> Shape:
        """List who is there."""
        if self._bus is None:
            cards: Sequence[AgentCard] = await offload(list_agents_at, self._place)
        else:
            cards = await self._bus.agents()
        others = [card for card in cards if card.address != self._place.me and can(card, capability)]
        return {"agents": [card_shape(card) for card in others]}

    async def delegate(self, text: str, capability: str, agent: str, ttl_s: float) -> Shape:
        """Give a task away. Raises ``UsageError``."""
        if self._bus is None:
            to = address_of(agent) if agent else None
            leave = partial(leave_task, self._place, text, capability=capability, to=to, ttl_s=ttl_s)
            task = await offload(leave)
        else:
            task = await self._bus.delegate(text, capability=capability, to=agent, ttl_s=ttl_s)
        return task_shape(task, mine=True)

    async def status(self, some_id: str) -> Shape:
        """Tell how far a task or letter is. Raises ``UsageError``."""
        me, store = self._place.me, self._store
        task = await offload(store.tasks.find, me, Side.REQUESTER, some_id)
        if task is not None:
            return task_shape(task, mine=True)
        standing = await offload(store.outbox.find, me, some_id)
        if standing is None:
            raise UsageError("no task or message of yours has this id")
        reached = await offload(store.outbox.reached, me, some_id)
        return {
            **standing_shape(standing),
            "reached": {str(who): state.value for who, state in reached.items()},
        }

    async def fetch(self, some_id: str, offset: int) -> Shape:
        """Fetch what a letter or a task's result stands for. Raises ``UsageError`` and ``NotFetched``."""
        owner, ref = await offload(named_in, self._store, self._place.me, some_id)
        if self._bus is not None:
            path = await self._bus.artifacts.fetch(owner, ref, timeout_s=FETCH_S)
        else:
            path = await self._fetched_beside(owner, ref)
        return await offload(partial(excerpt, path, ref, offset=offset))

    async def _fetched_beside(self, owner: Address, ref: ArtifactRef) -> Path:
        shelf, deadline = self._place.shelf, time.monotonic() + FETCH_S
        if (found := shelf.find(ref)) is None:
            await offload(ask_instance, self._place, owner, ref)
        while (found := shelf.find(ref)) is None and time.monotonic() < deadline:
            await SYSTEM_CLOCK.pause(LOOK_S)
        if found is None:
            raise NotFetched("it has not come yet", hint="it is tried further; ask again later")
        return found

    def _ring(self) -> None:
        """What tells the senders was stored; somebody has to send it."""
        if self._bus is not None:
            self._bus.exchange.poke()
        else:
            self._place.home.ring()
