"""Agent cards on the wire: A2A 1.0 JSON, and user properties for what A2A has no field for."""

import json
import re
from dataclasses import replace
from enum import StrEnum
from typing import Any

from agentorchestr.model.carrier import Message, Properties, Will
from agentorchestr.model.mail import AgentCard, Skill
from agentorchestr.swarm import topics

CARD_BYTES = 64 * 1024
SKILLS = 200
TAGS = 100
SLOTS = 1000
PROTOCOL_VERSION = "1.0"
# Both are in use: the profile names none, and its two implementations chose the second.
BINDINGS = ("urn:agentorchestr:a2a-over-mqtt:0.1", "MQTTv5+JSONRPCv2")
FILLER_TAG = "agentorchestr-any-message"
"""A2A wants at least one skill; this marks the one we add for an agent that names none."""
_PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")
_TEXT_CHARS = 1000
_WORD_CHARS = 200


class Source(StrEnum):
    """Who says that an agent is online or not."""

    AGENT = "agent"
    LWT = "lwt"
    BROKER = "broker"


def encode_card(card: AgentCard, *, broker_url: str = "mqtt://localhost") -> bytes:
    """Write *card* as an A2A 1.0 AgentCard. The topic to ask it on is told by its own address."""
    skills = [
        {
            "id": skill.name,
            "name": skill.name,
            "description": skill.description or skill.name,
            "tags": [skill.name],
        }
        for skill in card.skills
    ] or [
        {
            "id": "message",
            "name": "message",
            "description": "Takes a message and answers it.",
            "tags": [FILLER_TAG],
        }
    ]
    fields = {
        "name": card.address.agent,
        "description": card.description or f"{card.program or 'agent'} {card.address.agent}",
        "version": PROTOCOL_VERSION,
        "supportedInterfaces": [
            {"url": broker_url, "protocolBinding": binding, "protocolVersion": PROTOCOL_VERSION}
            for binding in BINDINGS
        ],
        "capabilities": {"streaming": True, "pushNotifications": False},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": skills,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def status_properties(card: AgentCard, *, source: Source, at: float) -> Properties:
    """What travels beside a card. *at* is when it was true."""
    told = (
        ("a2a-status", "online" if card.online else "offline"),
        ("a2a-status-source", source.value),
        ("a2a-ao-role", card.role),
        ("a2a-ao-program", card.program),
        ("a2a-ao-state", card.state),
        ("a2a-ao-slots", str(card.free_slots)),
        ("a2a-ao-host", card.host),
        ("a2a-ao-instance", card.instance),
        ("a2a-ao-at", f"{at:.3f}"),
    )
    return Properties(
        content_type="application/json", utf8=True, user=tuple((key, value) for key, value in told if value)
    )


def will_of(card: AgentCard, *, at: float, delay_s: int = 5) -> Will:
    """What the carrier says for an agent that is gone without a word."""
    gone = replace(card, online=False)
    properties = status_properties(gone, source=Source.LWT, at=at)
    return Will(topics.card(card.address), encode_card(gone), properties, retain=True, delay_s=delay_s)


def decode_card(message: Message, *, now: float) -> AgentCard | None:
    """Read a card; None for whatever is none. Whose it is says the topic, never the text."""
    try:
        owner = topics.card_owner(message.topic)
    except (ValueError, TypeError):
        return None
    if not message.payload or len(message.payload) > CARD_BYTES:
        return None
    try:
        on_wire = json.loads(message.payload.decode())
        description, skills = _text(on_wire.get("description", "")), _skills(on_wire.get("skills", []))
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return None
    properties = message.properties
    return AgentCard(
        address=owner,
        role=_word(properties, "a2a-ao-role"),
        program=_word(properties, "a2a-ao-program"),
        description=description,
        skills=skills,
        state=_word(properties, "a2a-ao-state"),
        free_slots=_slots(properties),
        host=_word(properties, "a2a-ao-host"),
        instance=_word(properties, "a2a-ao-instance"),
        online=_status(properties)[0] != "offline",
        seen_at=_seen_at(message, now=now),
    )


# Read without pydantic: loading it takes longer than the rest of a listing.


def _skills(told: object) -> tuple[Skill, ...]:
    """The skills of a card but our filler. Raises ``ValueError``, ``TypeError``, ``LookupError``."""
    if not isinstance(told, list) or len(told) > SKILLS:
        raise ValueError("no list of skills")
    return tuple(skill for one in told if (skill := _skill(one)) is not None)


def _skill(told: dict[str, Any]) -> Skill | None:
    name, tags = told["id"], told.get("tags", [])
    if not isinstance(tags, list) or len(tags) > TAGS or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("no list of words")
    if not isinstance(name, str) or _ID.fullmatch(name) is None:
        raise ValueError("no name of a skill")
    description = _text(told.get("description", ""))
    name.encode()
    return None if FILLER_TAG in tags else Skill(name, description)


def _text(told: object) -> str:
    if not isinstance(told, str):
        raise TypeError("no text")
    told.encode()  # refuses half a character
    return _BAD.sub(" ", told)[:_TEXT_CHARS]


def status_source(properties: Properties) -> str:
    """Who said that the agent is online or offline; empty when nobody did."""
    return _status(properties)[1]


def _status(properties: Properties) -> tuple[str, str]:
    """The status that counts, and its source: a broker knows better than the agent. Profile 0.1, S5."""
    statuses = [value for key, value in properties.user if key == "a2a-status"]
    sources = [value for key, value in properties.user if key == "a2a-status-source"]
    told = list(zip(statuses, [*sources, *[""] * len(statuses)], strict=False))
    return next((pair for pair in reversed(told) if pair[1] == Source.BROKER), told[-1] if told else ("", ""))


def _word(properties: Properties, name: str) -> str:
    value = properties.user_value(name)
    return value if len(value) <= _WORD_CHARS and _PLAIN.fullmatch(value) else ""


def _slots(properties: Properties) -> int:
    text = _word(properties, "a2a-ao-slots")
    return min(int(text), SLOTS) if text.isascii() and text.isdigit() and len(text) < 10 else 1  # noqa: PLR2004 - short enough to read


def _seen_at(message: Message, *, now: float) -> float:
    """A living publisher was seen now; a retained card is as old as it says, and never newer than now."""
    if not message.retained:
        return now
    try:
        told = float(_word(message.properties, "a2a-ao-at"))
    except ValueError:
        return now
    return min(told, now) if told > 0 else now
