"""What agents of swarmbus publish, read with suspicion: anybody may write there in any name."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentorchestr.model import swarmbus
from agentorchestr.model.carrier import Incoming
from agentorchestr.model.mail import (
    ID,
    INLINE_BYTES,
    SUBJECT_CHARS,
    Address,
    AgentCard,
    Letter,
    LetterKind,
)
from agentorchestr.swarm.ids import new_id
from agentorchestr.swarm.swarmbus_wire import VIA
from agentorchestr.swarm.wire import PAYLOAD_BYTES, Unreadable

PRESENCE_BYTES = 4096
_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MESSAGE_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LATEST = 1e11
"""Seconds; a moment above it is a mistake."""

Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Envelope(BaseModel):
    """What its own receivers want of a message; the rest is ours, and taken only if it fits."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = ""
    sender: Annotated[Name, Field(validation_alias=AliasChoices("from", "from_agent"))]
    to: Name
    ts: datetime | None = None
    subject: str
    body: str
    content_type: str = "text/plain"
    priority: str = "normal"
    reply_to: str | None = None
    via: object = None
    thread: object = None
    answers: object = None
    expires_at: object = None

    @field_validator("sender", "to")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if swarmbus.ID.fullmatch(value) is None:
            raise ValueError("not a name of swarmbus")
        return value

    @field_validator("body")
    @classmethod
    def _fits(cls, value: str) -> str:
        if len(value.encode()) > INLINE_BYTES:
            raise ValueError(f"is larger than {INLINE_BYTES} bytes")
        return value


def read_letter(message: Incoming, *, me: Address, now: float) -> Letter | None:
    """A message of swarmbus as a letter to us; None for a broadcast of our own kind, which came already.

    The sender is a claim. A subject of several lines becomes one, and a word that is none the usual one.
    Raises ``Unreadable`` for what swarmbus itself would throw away.
    """
    if len(message.payload) > PAYLOAD_BYTES:
        raise Unreadable(f"{len(message.payload)} bytes, at most {PAYLOAD_BYTES} are taken")
    try:
        envelope = _Envelope.model_validate_json(message.payload)
    except ValidationError as exc:
        raise Unreadable(_first_fault(exc)) from exc
    to_all = message.topic == swarmbus.BROADCAST
    if to_all and envelope.via == VIA:
        return None
    answers = _answers(envelope)
    return Letter(
        letter_id=_letter_id(envelope.id, message),
        sender=swarmbus.neighbour(envelope.sender),
        receiver=None if to_all else me,
        body=envelope.body,
        subject=_BAD.sub(" ", envelope.subject)[:SUBJECT_CHARS],
        kind=LetterKind.ANSWER if answers else LetterKind.NOTE,
        content_type=_word(envelope.content_type, 100, "text/plain"),
        priority=_word(envelope.priority, 16, "normal"),
        reply_to=_reply_to(envelope.reply_to),
        thread=_our_id(envelope.thread),
        answers=answers,
        created_at=_moment(envelope.ts, now),
        expires_at=_seconds(envelope.expires_at),
    )


class _Presence(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    agent: str
    status: str
    via: object = None


def read_presence(message: Incoming) -> AgentCard | None:
    """Who is online or not, as a card; None for our own kind, which has cards, and for what is none.

    Whose presence it is says the topic.
    """
    try:
        owner = presence_owner(message.topic)
        if len(message.payload) > PRESENCE_BYTES:
            return None
        told = _Presence.model_validate_json(message.payload)
    except ValueError:
        return None
    if told.via == VIA or told.agent != owner.agent:
        return None
    return AgentCard(
        owner,
        program=swarmbus.NAME,
        description="an agent of swarmbus; its name is not proven",
        free_slots=0,
        online=told.status == "online",
    )


def presence_owner(topic: str) -> Address:
    """Whose presence stands at *topic*. Raises ``ValueError``."""
    root, name, leaf = topic.split("/")
    if (root, leaf) != (swarmbus.ROOT, "presence") or name in swarmbus.RESERVED:
        raise ValueError(f"no presence: {topic!r}")
    return swarmbus.neighbour(name)


def _letter_id(given: str, message: Incoming) -> str:
    """An id that a second arrival has again; what came without one and is not retained is always new."""
    if ID.fullmatch(given) is not None:
        return given
    if given or message.retained:
        return hashlib.sha256(given.encode() or message.payload).hexdigest()
    return new_id()


def _answers(envelope: _Envelope) -> str:
    """Which letter it answers: swarmbus says so, if at all, by a message's id in ``reply_to``."""
    told = envelope.reply_to or ""
    return _our_id(envelope.answers) or (told if _MESSAGE_ID.fullmatch(told) else "")


def _reply_to(text: str | None) -> Address | None:
    if not text or _MESSAGE_ID.fullmatch(text) or text in swarmbus.RESERVED:
        return None
    try:
        return swarmbus.neighbour(text)
    except ValueError:
        return None


def _our_id(value: object) -> str:
    return value if isinstance(value, str) and ID.fullmatch(value) else ""


def _word(text: str, longest: int, otherwise: str) -> str:
    return text if text and len(text) <= longest and not _BAD.search(text) else otherwise


def _moment(told: datetime | None, now: float) -> float:
    if told is None:
        return now
    try:
        moment = (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return now
    return moment if 0 <= moment <= _LATEST else now


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, float | int) and 0 <= value <= _LATEST else 0.0


def _first_fault(exc: ValidationError) -> str:
    fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'payload'}: {fault['msg']}"[:300]
