"""One registered a2a-hub client: its frames become acts of its agent on the bus, and the other way."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from agentorchestr.bus.bus import Bus
from agentorchestr.bus.names import address_of, short_name
from agentorchestr.clock import SYSTEM_CLOCK
from agentorchestr.errors import CarrierGone, UsageError
from agentorchestr.hub.frames import (
    HUB,
    Discovery,
    Frame,
    FrameType,
    HubFault,
    Order,
    Outcome,
    Query,
    Registration,
    iso,
    read_payload,
)
from agentorchestr.hub.handing import Handing, Link
from agentorchestr.hub.news import News
from agentorchestr.hub.texts import (
    letter_words,
    result_text,
    task_text,
)
from agentorchestr.model.mail import (
    AgentCard,
    Skill,
)

PROGRAM = "a2a-hub"
HOW_TO_ASK = "An a2a-hub agent: the text of a task is a JSON object of its parameters."
DESCRIPTION_CHARS = 500
LOOKS_S = 3.0
"""How long the broker may take to list its agents, and a large result to come, when a client asks."""
TASKS_SHOWN = 1000
WHY_CHARS = 1000


def skills_of(registration: Registration) -> tuple[Skill, ...]:
    """What a client can do, each once."""
    return tuple(Skill(name) for name in dict.fromkeys(registration.capabilities))


def description_of(registration: Registration) -> str:
    """What a client's card says of it."""
    told = registration.metadata.get("description", "")
    words = " ".join(f"{registration.name}: {told}".split()) if isinstance(told, str) else registration.name
    return f"{words.strip(': ')[:DESCRIPTION_CHARS]}. {HOW_TO_ASK}".lstrip(". ")


class Client:
    """Answers one client's frames; what comes for it is handed to it meanwhile."""

    def __init__(self, bus: Bus, link: Link, registration: Registration) -> None:
        self._bus = bus
        self._registration = registration
        self._handing = Handing(bus, link, registration.capabilities)
        self._news = News(bus.delegation, bus.exchange, self._handing.tell_result)
        self.client_id = short_name(bus.me)
        self._answers: dict[FrameType, Callable[[Frame], Awaitable[Frame | None]]] = {
            FrameType.DISCOVER: self._discover,
            FrameType.DELEGATE: self._delegate,
            FrameType.RESULT: self._result,
            FrameType.STATUS: self._status,
            FrameType.BROADCAST: self._broadcast,
            FrameType.HEARTBEAT: self._heartbeat,
        }

    async def serve(self) -> None:
        """Give the client what comes for it, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._handing.hand_tasks())
            group.create_task(self._bus.hand_over(self._handing.hand_letter))
            group.create_task(self._news.tell())

    async def register(self, registration: Registration) -> None:
        """Take a new registration of the same client: its card changes."""
        self._registration = registration
        self._handing.capabilities = registration.capabilities
        card = self._bus.exchange.card
        words, skills = description_of(registration), skills_of(registration)
        await self._bus.exchange.show(replace(card, description=words, skills=skills))

    async def answer(self, frame: Frame) -> Frame | None:
        """Do what *frame* asks; its answer, if it has one. Raises ``HubFault`` and other errors of ours."""
        await self._news.heard()
        act = self._answers.get(frame.type)
        if act is None:
            raise HubFault(f"a client does not send {frame.type}")
        return await act(frame)

    async def _discover(self, frame: Frame) -> Frame:
        wanted = read_payload(Discovery, frame).capability.lower()
        cards = await self._online()
        agents = [self._shape(card) for card in cards]
        found = [
            one
            for one in agents
            if any(wanted in word.lower() for word in (one["name"], *one["capabilities"]))
        ]
        return frame.answer(FrameType.DISCOVER, {"agents": found})

    async def _delegate(self, frame: Frame) -> Frame:
        order = read_payload(Order, frame)
        if order.task_id and await self._bus.delegation.task(order.task_id) is not None:
            raise HubFault(f"the task id {order.task_id} was used before", task_id=order.task_id)
        card = None if frame.to == HUB else await self._receiver(frame.to)
        if card is None and not order.capability:
            raise HubFault("a task needs an agent in its field to, or a capability")
        task = await self._bus.delegation.delegate(
            task_text(order, card),
            capability="" if card else order.capability,
            to=card.address if card else None,
            ttl_s=order.ttl,
            task_id=order.task_id or "",
        )
        return frame.answer(FrameType.STATUS, {"task_id": task.task_id, "status": task.state.value})

    async def _receiver(self, name: str) -> AgentCard:
        try:
            address = address_of(name)
        except UsageError as exc:
            raise HubFault(f"agent {name!r} not found: {exc}") from exc
        if address == self._bus.me:
            raise HubFault("an agent cannot delegate to itself")
        await self._bus.directory.complete(timeout_s=LOOKS_S)
        card = self._bus.directory.find(address)
        if card is None:
            raise HubFault(f"agent {name!r} not found")
        return card

    async def _result(self, frame: Frame) -> None:
        outcome = read_payload(Outcome, frame)
        taken = self._bus.assignments
        if await taken.book.find(outcome.task_id) is None:
            raise HubFault(f"unknown task: {outcome.task_id}", task_id=outcome.task_id)
        if outcome.error is not None:
            was_open = await taken.fail(outcome.task_id, outcome.error[:WHY_CHARS] or "failed")
        else:
            try:
                was_open = await taken.complete(outcome.task_id, result_text(outcome.result))
            except (UsageError, HubFault) as exc:
                was_open = await taken.fail(outcome.task_id, f"the result cannot be sent: {exc}")
                if was_open:
                    raise HubFault(f"the task failed: {exc}", task_id=outcome.task_id) from exc
        if not was_open:
            raise HubFault(f"the task had ended: {outcome.task_id}", task_id=outcome.task_id)

    async def _status(self, frame: Frame) -> Frame:
        query = read_payload(Query, frame)
        if query.task_id:
            given = await self._bus.delegation.task(query.task_id)
            task = given or await self._bus.assignments.book.find(query.task_id)
            if task is None:
                raise HubFault(f"unknown task: {query.task_id}", task_id=query.task_id)
            return frame.answer(FrameType.STATUS, await self._handing.status_of(task, within_s=LOOKS_S))
        given_and_taken = [
            *await self._bus.delegation.book.recent(limit=TASKS_SHOWN),
            *await self._bus.assignments.book.recent(limit=TASKS_SHOWN),
        ]
        agents = [self._shape(card) for card in await self._online()]
        counted = {
            "agents_count": len(agents),
            "tasks_count": len(given_and_taken),
            "task_statuses": Counter(task.state.value for task in given_and_taken),
        }
        return frame.answer(FrameType.STATUS, {**counted, "agents": agents})

    async def _broadcast(self, frame: Frame) -> Frame:
        body, content_type = letter_words(frame.payload)
        await self._bus.send("all", body, content_type=content_type)
        others = [card for card in await self._online() if card.address != self._bus.me]
        return frame.answer(FrameType.BROADCAST, {"status": "ok", "recipients": len(others)})

    async def _heartbeat(self, frame: Frame) -> Frame:
        return frame.answer(FrameType.HEARTBEAT_ACK, {})

    async def _online(self) -> tuple[AgentCard, ...]:
        """Who is here now, ourselves included. Raises ``CarrierGone`` while there is no connection."""
        if not await self._bus.directory.complete(timeout_s=LOOKS_S):
            raise CarrierGone("the broker does not answer now", hint="try again in a moment")
        return self._bus.directory.agents(online=True)

    def _shape(self, card: AgentCard) -> dict[str, Any]:
        is_me = card.address == self._bus.me
        told = {
            "description": card.description,
            "role": card.role,
            "program": card.program,
            "state": card.state,
        }
        metadata = self._registration.metadata if is_me else {key: word for key, word in told.items() if word}
        seen_at = iso(card.seen_at or SYSTEM_CLOCK.now())
        return {
            "id": short_name(card.address),
            "name": (self._registration.name if is_me else "") or short_name(card.address),
            "capabilities": [skill.name for skill in card.skills],
            "status": "online" if card.online else "offline",
            "metadata": metadata,
            "last_heartbeat": seen_at,
            "registered_at": seen_at,
        }
