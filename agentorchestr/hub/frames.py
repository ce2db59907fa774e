"""What a2a-hub's clients and their hub write to one another: JSON texts of ten types, checked on the way in.

Source: protocol.py and README.md of a2a-hub 0.1.0 (github.com/zzhiyuann/cortex, packages/a2a-hub).
"""

import contextlib
import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentorchestr.errors import BusError
from agentorchestr.model.mail import ID

HUB = "hub"
BROADCAST = "broadcast"
UNKNOWN = "unknown"
RESERVED = frozenset({HUB, BROADCAST, UNKNOWN, "all", "*"})
"""Ids that no client can have."""
CAPABILITIES = 100
DAY_S = 86400.0
TTL_S = 300.0
FAULTS_SHOWN = 3
FRAME_BYTES = 1024 * 1024
"""What a frame may have, both ways: the limit of the library that a2a-hub uses."""
_PLAIN = r"\A[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\z"
_FRAME_ID = re.compile(r'"id"\s*:\s*"([^"\\]{1,200})"')


class HubFault(BusError):
    """Something a client asked for that cannot be; it is told so in a frame of type ``error``."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


class BadFrame(HubFault):
    """A text that is no frame; ``frame_id`` is what it seems to call itself, or empty."""

    def __init__(self, message: str, *, frame_id: str = "") -> None:
        super().__init__(message)
        self.frame_id = frame_id


class FrameType(StrEnum):
    """The ten types."""

    REGISTER = "register"
    DEREGISTER = "deregister"
    DISCOVER = "discover"
    DELEGATE = "delegate"
    RESULT = "result"
    STATUS = "status"
    BROADCAST = "broadcast"
    HEARTBEAT = "heartbeat"
    HEARTBEAT_ACK = "heartbeat_ack"
    ERROR = "error"


def iso(at: float) -> str:
    """A time as these frames write it."""
    return datetime.fromtimestamp(at, UTC).isoformat()


class _Outside(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class Frame(_Outside):
    """One message. An answer carries the id of what it answers."""

    type: FrameType
    id: Annotated[str, Field(min_length=1, max_length=200)] = Field(default_factory=lambda: str(uuid4()))
    sender: Annotated[str, Field(alias="from", max_length=200)] = UNKNOWN
    to: Annotated[str, Field(max_length=200)] = HUB
    timestamp: str = Field(default_factory=lambda: datetime.now(UTC).isoformat())
    payload: dict[str, Any] = {}

    def text(self) -> str:
        """The frame as it is sent."""
        fields = {"type": self.type.value, "id": self.id, "from": self.sender, "to": self.to}
        return json.dumps({**fields, "timestamp": self.timestamp, "payload": self.payload})

    def answer(self, type_: FrameType, payload: dict[str, Any]) -> "Frame":
        """The hub's answer to this frame."""
        return Frame(type=type_, id=self.id, sender=HUB, to=self.sender, payload=payload)

    def refusal(self, fault: HubFault) -> "Frame":
        """The hub's answer that says what is wrong with this frame."""
        return error_frame(str(fault), to=self.sender, frame_id=self.id, details=fault.details)


def error_frame(
    why: str, *, to: str = UNKNOWN, frame_id: str = "", details: dict[str, object] | None = None
) -> Frame:
    """An error of the hub's own."""
    payload = {"error": why, "details": details or {}}
    return Frame(type=FrameType.ERROR, id=frame_id or str(uuid4()), sender=HUB, to=to, payload=payload)


Name = Annotated[str, Field(max_length=200, pattern=_PLAIN)]
Capability = Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN)]


class Registration(_Outside):
    """The payload of ``register``."""

    name: Name = ""
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=CAPABILITIES)] = ()
    metadata: dict[str, Any] = {}


class Discovery(_Outside):
    """The payload of ``discover``: part of a capability or name, whatever its case."""

    capability: str = ""


class Order(_Outside):
    """The payload of ``delegate``."""

    task_id: Annotated[str, Field(pattern=rf"\A{ID.pattern}\z")] | None = None
    capability: Annotated[str, Field(max_length=64, pattern=_PLAIN)] = ""
    params: dict[str, Any] = {}
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    ttl: Annotated[float, Field(gt=0, le=7 * DAY_S, allow_inf_nan=False)] = TTL_S


class Outcome(_Outside):
    """The payload of ``result``."""

    task_id: Annotated[str, Field(min_length=1, max_length=200)]
    result: Any = None
    error: str | None = None


class Query(_Outside):
    """The payload of ``status``."""

    task_id: str | None = None


Payload = TypeVar("Payload", bound=_Outside)


def read_frame(text: str) -> Frame:
    """Read one text. Raises ``BadFrame``."""
    try:
        return Frame.model_validate_json(text)
    except ValidationError as exc:
        found = _FRAME_ID.search(text)
        raise BadFrame(f"invalid message: {_told(exc)}", frame_id=found.group(1) if found else "") from exc


def read_payload(kind: type[Payload], frame: Frame) -> Payload:
    """Read a frame's payload. Raises ``HubFault``."""
    try:
        return kind.model_validate(frame.payload)
    except ValidationError as exc:
        raise HubFault(f"invalid {frame.type} message: {_told(exc)}") from exc


def as_json(value: object) -> str:
    """Write what came in a frame. Raises ``HubFault`` for what is no JSON, like NaN."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    raise HubFault("only JSON values can be sent on, without NaN and infinity")


def _told(exc: ValidationError) -> str:
    """What is wrong, without what was sent: it may be long, or secret."""
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'the text'}: {fault['msg']}"
        for fault in exc.errors(include_url=False, include_input=False, include_context=False)
    ]
    more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
    return "; ".join(fault[:200] for fault in faults[:FAULTS_SHOWN]) + more
