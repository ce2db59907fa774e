"""The port between agents that talk and whatever carries their bytes: a broker, or this process itself."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Protocol

LETTERS_ROOT = "agentorchestr/v1"
"""The root of the topics of letters (``in``, ``all``) and of artifacts (``get``, ``piece``)."""
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


class Message(Protocol):
    """A message that came in."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def properties(self) -> Properties: ...
    @property
    def retained(self) -> bool: ...


class Incoming(Message, Protocol):
    """A message that came in and is not acknowledged yet."""

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


# Mosquitto hangs up on a text with one of these; MQTT 5.0, section 1.5.4, allows it to.
UNSAYABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
TEXT_BYTES = 65535


def sayable(topic: str, properties: Properties) -> bool:
    """Whether a broker takes these words: one that does not ends the connection, so it must not see them."""
    if not _names_a_topic(topic):
        return False
    words = [properties.content_type, *(word for pair in properties.user for word in pair)]
    return (
        all(map(_is_text, words))
        and (not properties.response_topic or _names_a_topic(properties.response_topic))
        and len(properties.correlation) <= TEXT_BYTES
        and (properties.expiry_s is None or 0 <= properties.expiry_s < 2**32)
    )


@lru_cache(maxsize=4096)
def _names_a_topic(word: str) -> bool:
    return bool(word) and _is_text(word) and not {"+", "#"} & set(word)


def _is_text(word: str) -> bool:
    return UNSAYABLE.search(word) is None and len(word.encode()) <= TEXT_BYTES


def packet_bytes(topic: str, payload: bytes, properties: Properties) -> int:
    """An upper bound of the size of the publish on the wire, a few bytes above the true one."""
    words = [topic, properties.response_topic, properties.content_type]
    words += [word for pair in properties.user for word in pair]
    text = sum(len(word.encode()) + 3 for word in words)
    return len(payload) + len(properties.correlation) + text + 32
