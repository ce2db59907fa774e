"""What a broker can do for us, as trying it showed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BrokerAbilities:
    """What worked. What is false here was asked for and did not come."""

    a2a_topics: bool
    """An ordinary client may publish and subscribe below ``$a2a``, with wildcards and our properties."""
    shared_on_a2a: bool
    """Shared subscriptions deliver there: pools need no dispatcher."""
    shared: bool
    retained: bool
    """Cards wait for who comes later."""
    will: bool
    will_delay: bool
    """A will is held back for a moment, so that a short cut shows nobody as gone."""
    session_expiry: bool
    """What comes in while an agent is away is kept for it."""
    nobody_there: bool
    """The broker says when no subscriber matches."""
    packet_bytes: int | None = None
    """The largest message; None: no limit told."""
    shared_on_a2a_granted: bool = False
    """Shared subscriptions there are granted, which does not say that they deliver."""

    @property
    def lacking(self) -> tuple[str, ...]:
        """The needed abilities that are not there."""
        return tuple(name for name in NEEDED if not getattr(self, name))


NEEDED = {
    "a2a_topics": "agents' cards and A2A requests",
    "retained": "cards for who comes later",
    "session_expiry": "messages for agents that are away",
}
"""Without these a session's agents are not on the bus: what each is for."""
WANTED = {
    "will": "an agent that crashed shows as gone",
    "will_delay": "a short cut shows nobody as gone",
    "nobody_there": "a sender hears at once that nobody is there",
    "shared": "shared subscriptions",
    "shared_on_a2a": "pools of A2A agents without a dispatcher",
}


@dataclass(frozen=True)
class AbilityRow:
    """One line of the table. *mark* is ``ok``, ``no`` or, for what is needed, ``FAILED``."""

    mark: str
    name: str
    about: str


def ability_rows(found: BrokerAbilities) -> tuple[AbilityRow, ...]:
    """What was tried, in a fixed order, and what came of it."""
    rows = [AbilityRow("ok" if getattr(found, name) else "FAILED", name, NEEDED[name]) for name in NEEDED]
    for name, about in WANTED.items():
        stranded = name == "shared_on_a2a" and found.shared_on_a2a_granted and not found.shared_on_a2a
        more = ": granted, but nothing is delivered" if stranded else ""
        rows.append(AbilityRow("ok" if getattr(found, name) else "no", name, about + more))
    limit = f"{found.packet_bytes:,} bytes" if found.packet_bytes else "no limit told"
    return (*rows, AbilityRow("ok", "packet_bytes", f"largest message: {limit}"))
