"""Where A2A over MQTT meets: topics of requests, replies, events and cards.

Source: the A2A-over-MQTT profile 0.1, rules C3 to C5, Q2, P1 to P5 of the checklist in ``docs/a2a.md``.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

from agentorchestr.model.mail import ID, Address

GROUP_CHARS = 64
"""The longest name of a shared subscription's group."""
_FIXED = re.compile(r"\$?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_REPLY_BYTES = 16


def check_id(text: str) -> str:
    """*text* when it may be an org, unit, agent, pool or group id. Raises ``ValueError``."""
    if ID.fullmatch(text) is None:
        raise ValueError(f"not an id of the bus: {text!r}")
    return text


@dataclass(frozen=True, order=True)
class Pool:
    """Agents of one unit that share a request topic; whoever takes a request answers it alone."""

    org: str
    unit: str
    name: str

    def __post_init__(self) -> None:
        for part in (self.org, self.unit, self.name):
            check_id(part)

    @property
    def group(self) -> str:
        """The group that all members name in a shared subscription: stable, never of one instance."""
        text = re.sub(r"[^A-Za-z0-9._]", "_", f"a2a.{self.org}.{self.unit}.{self.name}")
        if len(text) <= GROUP_CHARS:
            return text
        short = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{text[: GROUP_CHARS - len(short) - 1]}_{short}"


@dataclass(frozen=True)
class Topics:
    """Topic names under one prefix.

    Another prefix than ``$a2a/v1`` makes pools work on brokers that grant shared subscriptions on topics that
    begin with ``$`` and never deliver, at the price of conformance.
    """

    prefix: str = "$a2a/v1"

    def __post_init__(self) -> None:
        if _FIXED.fullmatch(self.prefix) is None:
            raise ValueError(f"not a topic prefix: {self.prefix!r}")

    def discovery(self, agent: Address) -> str:
        """Where the retained card of *agent* is."""
        return f"{self.prefix}/discovery/{agent}"

    def discovery_filter(self, org: str, unit: str = "+") -> str:
        """The cards of one unit, or of every unit of *org*."""
        return f"{self.prefix}/discovery/{check_id(org)}/{unit if unit == '+' else check_id(unit)}/+"

    def request(self, to: Address | Pool) -> str:
        """Where requests to an agent or a pool are published."""
        if isinstance(to, Pool):
            return f"{self.prefix}/request/{to.org}/{to.unit}/pool/{to.name}"
        return f"{self.prefix}/request/{to}"

    def pool_requests(self, org: str, unit: str) -> str:
        """The requests of every pool of a unit."""
        return f"{self.prefix}/request/{check_id(org)}/{check_id(unit)}/pool/+"

    def pool_of(self, topic: str) -> str:
        """The name of the pool whose request topic *topic* is; empty when it is none."""
        levels = topic.removeprefix(f"{self.prefix}/request/").split("/")
        is_pool = topic.startswith(f"{self.prefix}/request/") and levels[2:3] == ["pool"]
        return levels[3] if is_pool and len(levels) == 4 else ""  # noqa: PLR2004 - org, unit, pool, name

    def shared_request(self, pool: Pool) -> str:
        """The filter of a pool's members; nobody publishes to it."""
        return f"$share/{pool.group}/{self.request(pool)}"

    def reply(self, agent: Address, suffix: str) -> str:
        """Where *agent* reads replies; *suffix* is one level that nobody else can guess."""
        return f"{self.prefix}/reply/{agent}/{check_id(suffix)}"

    def reply_filter(self, agent: Address) -> str:
        """Every reply topic of *agent*: a kept session then never collects filters of earlier runs."""
        return f"{self.prefix}/reply/{agent}/+"

    def event(self, agent: Address) -> str:
        """Where *agent* tells what happens, outside of request and reply."""
        return f"{self.prefix}/event/{agent}"

    def owner(self, topic: str) -> Address | None:
        """The agent a discovery, request, reply or event topic belongs to; None when it is none of them."""
        head, _, rest = topic.removeprefix(f"{self.prefix}/").partition("/")
        parts = rest.split("/")
        if not topic.startswith(f"{self.prefix}/") or head not in {"discovery", "request", "reply", "event"}:
            return None
        try:
            return Address(*parts[:3])
        except (TypeError, ValueError):
            return None


PROFILE_TOPICS = Topics()


def reply_suffix() -> str:
    """A new last level of a reply topic."""
    return secrets.token_hex(_REPLY_BYTES)
