"""Which agent gets a task."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from agentorchestr.model.mail import Address, AgentCard, DelegatedState, DelegatedTask


@dataclass(frozen=True)
class Patience:
    """How long a requester waits for one assignee before it asks the next."""

    accept_s: float = 60.0
    """For the first sign that the task was taken up; and before the same agent is asked again."""
    lease_s: float = 120.0
    """Between two signs of life."""
    gone_s: float = 10.0
    """For an assignee whose card says that it left: it may only start anew."""
    losses: int = 3
    """Assignees that may lose a task before it has failed."""


@dataclass
class Watch:
    """One open task in its requester's memory."""

    task: DelegatedTask
    offered_at: dict[Address, float] = field(default_factory=dict)
    losses: int = 0
    heard_at: float = 0.0
    gone_at: float | None = None
    """When the assignee's card said that it left."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the task changes, on disk and here."""

    @property
    def is_named(self) -> bool:
        """It is for one agent; no other may do it."""
        return not self.task.capability

    @property
    def wants_assignee(self) -> bool:
        """Nobody was asked, or whoever was has lost it."""
        return self.task.state is DelegatedState.PENDING and (
            self.task.assignee is None or self.task.attempt == 0
        )


def pick(
    watch: Watch, cards: Iterable[AgentCard], *, others: Iterable[Watch], now: float, patience: Patience
) -> Address | None:
    """The agent with most free slots among those that can do it; of equals, the one seen last."""
    if watch.is_named:
        return watch.task.assignee
    waiting = list(others)
    free = [(_free(card, waiting), card.seen_at, card.address) for card in cards if card.online]
    fit = [
        (slots, seen_at, address)
        for slots, seen_at, address in free
        if slots > 0 and now >= _askable_at(watch, address, patience) and address != watch.task.requester
    ]
    return max(fit)[2] if fit else None


def deadline(watch: Watch, patience: Patience) -> tuple[float, str]:
    """Until when the task may stay as it is, and what is wrong then."""
    task = watch.task
    limits = [(task.expires_at, "its time to live is over")]
    if watch.wants_assignee:
        limits += [(_askable_at(watch, address, patience), "") for address in watch.offered_at]
    else:
        if task.state is DelegatedState.IN_PROGRESS:
            limits.append((watch.heard_at + patience.lease_s, f"{task.assignee} went silent"))
        elif not watch.is_named:
            limits.append((watch.heard_at + patience.accept_s, f"{task.assignee} did not take it up"))
        if watch.gone_at is not None and not (watch.is_named and task.state is DelegatedState.PENDING):
            limits.append((watch.gone_at + patience.gone_s, f"{task.assignee} left"))
    return min(limits)


def _free(card: AgentCard, waiting: Iterable[Watch]) -> int:
    """Free slots, less what we offered since the card was shown."""
    return card.free_slots - sum(
        1
        for watch in waiting
        if watch.task.assignee == card.address and watch.offered_at.get(card.address, 0.0) > card.seen_at
    )


def _askable_at(watch: Watch, address: Address, patience: Patience) -> float:
    offered_at = watch.offered_at.get(address)
    return 0.0 if offered_at is None else offered_at + patience.accept_s
