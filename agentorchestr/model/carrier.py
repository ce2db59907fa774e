"""The port between agents that talk and whatever carries their bytes: a broker, or this process itself."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

LETTERS_ROOT = "agentorchestr/v1"
"""The root of the topics of letters: ``in/<to>/<from>`` and ``all/<from>``."""
A2A_ROOT = "$a2a/v1"
"""The root of the topics of the A2A-over-MQTT profile: discovery, request, reply, event."""


def leaves_out_own(topic_filter: str) -> bool:
    """Whether a subscriber to *topic_filter* does not hear itself (no-local): only with broadcasts."""
    return topic_filter.startswith(f"{LETTERS_ROOT}/all/")


class Delivered(Enum):
    """What the carrier said to a publish."""

    ACCEPTED = "accepted"
    NOBODY_THERE = "nobody_there"
    """Accepted, but no subscriber and no kept session matches now."""
    REFUSED = "refused"
    """Not allowed, too large, or the carrier is full."""


@dataclass(frozen=True)
class Properties:
    """MQTT 5 properties of a message, as far as we use them. ``user`` keeps order and duplicates."""

    response_topic: str = ""
    correlation: bytes = b""
    content_type: str = ""
    utf8: bool = False
    expiry_s: int | None = None
    user: tuple[tuple[str, str], ...] = ()

    def user_value(self, name: str) -> str:
        """The first value of the user property *name*, empty when there is none."""
        return next((value for key, value in self.user if key == name), "")


class Incoming(Protocol):
    """A message that came in and is not acknowledged yet."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def properties(self) -> Properties: ...
    @property
    def retained(self) -> bool: ...
    def acknowledge(self) -> None:
        """Tell the carrier that it is on disk here; until then it comes again after a reconnect."""


@dataclass(frozen=True)
class Will:
    """What the carrier publishes for us when we are gone without a word."""

    topic: str
    payload: bytes
    properties: Properties = field(default_factory=Properties)
    retain: bool = True
    delay_s: int = 5


class Transport(Protocol):
    """One agent's connection. Made, entered with ``async with``, and left; reconnects by itself."""

    @property
    def connected(self) -> bool: ...
    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        properties: Properties = Properties(),
        retain: bool = False,
    ) -> Delivered:
        """Publish at QoS 1 and wait for the answer. Raises ``CarrierGone`` while there is no connection."""

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe at QoS 1, now and after each reconnect. Raises ``CarrierRefused``."""

    def messages(self) -> AsyncIterator[Incoming]:
        """Everything that comes in, in order, for one reader."""

    async def wait_connected(self, *, timeout_s: float) -> bool:
        """Whether there is a connection within *timeout_s*."""
