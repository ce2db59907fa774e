"""Agent cards of A2A 1.0 as JSON: made from our own cards, checked when they come from others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from agentorchestr.a2a.codec import from_json
from agentorchestr.a2a.errors import A2AError
from agentorchestr.a2a.properties import PROTOCOL_VERSION
from agentorchestr.a2a.tasks import WIRE, Json
from agentorchestr.a2a.topics import PROFILE_TOPICS, Topics
from agentorchestr.model.mail import AgentCard
from agentorchestr.swarm.card_wire import BINDINGS, CARD_BYTES, encode_card

BINDING_URI = BINDINGS[0]


@dataclass(frozen=True)
class Interface:
    """Where and how an agent can be reached."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    url: str
    protocol_binding: str
    protocol_version: str


@dataclass(frozen=True)
class CardSkill:
    """What an agent can do, as its card has it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    id: str
    name: str
    description: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class CardShape:
    """The members every card of A2A 1.0 has. Others are kept as they are and not read."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = WIRE

    name: str
    description: str
    version: str
    supported_interfaces: tuple[Interface, ...]
    capabilities: Json
    default_input_modes: tuple[str, ...]
    default_output_modes: tuple[str, ...]
    skills: tuple[CardSkill, ...]
    security_requirements: tuple[Json, ...] = ()

    def __post_init__(self) -> None:
        wanted = (
            self.supported_interfaces,
            self.default_input_modes,
            self.default_output_modes,
            self.skills,
        )
        if not all(wanted):
            raise ValueError("interfaces, input modes, output modes and skills hold at least one each")

    @property
    def speaks_mqtt(self) -> bool:
        """Whether one of the interfaces is A2A 1.0 over MQTT; patch numbers do not count."""
        return any(
            face.protocol_binding in BINDINGS
            and face.protocol_version.split(".")[:2] == PROTOCOL_VERSION.split(".")
            for face in self.supported_interfaces
        )

    @property
    def asks_for_token(self) -> bool:
        """Whether a request needs a bearer token."""
        return bool(self.security_requirements)


def card_json(card: AgentCard, *, broker_url: str, topics: Topics = PROFILE_TOPICS) -> Json:
    """The A2A card of one of our agents. Where it reads requests is told as a parameter of our extension."""
    extension = {
        "uri": BINDING_URI,
        "description": "A2A over MQTT 5",
        "required": False,
        "params": {"requestTopic": topics.request(card.address)},
    }
    made: Json = json.loads(encode_card(card, broker_url=broker_url))
    made["capabilities"]["extensions"] = [extension]
    return made


def card_payload(card: Json) -> bytes:
    """*card* on the wire. Raises ``A2AError`` when it is not a card, ``ValueError`` when it is too large."""
    read_card(card)
    payload = json.dumps(card, ensure_ascii=False, separators=(",", ":")).encode()
    if len(payload) > CARD_BYTES:
        raise ValueError(f"a card holds at most {CARD_BYTES} bytes")
    return payload


def read_card(card: object) -> CardShape:
    """The required members of *card*. Raises ``A2AError`` that names the first fault."""
    return from_json(CardShape, card)


def parse_card(payload: bytes) -> Json | None:
    """The card in *payload*; None when it is none, or larger than a card may be."""
    if len(payload) > CARD_BYTES:
        return None
    try:
        card = json.loads(payload.decode())
        read_card(card)
    except (ValueError, RecursionError, A2AError):
        return None
    read: Json = card
    return read
