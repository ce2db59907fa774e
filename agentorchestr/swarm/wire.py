"""Letters on the wire: one JSON object each, every field limited, nothing in it believed over its topic."""

import json
import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox_outbox import Receipt
from agentorchestr.model.mail import ID, INLINE_BYTES, SUBJECT_CHARS, Address, Letter, LetterKind, LetterState
from agentorchestr.model.swarmbus import is_neighbour
from agentorchestr.swarm import topics
from agentorchestr.swarm.letter_fields import EVERYBODY, VERSION, letter_fields

# A body of control characters takes six bytes each in JSON.
PAYLOAD_BYTES = 6 * INLINE_BYTES + 8 * 1024
RECEIPT_IDS = 500
"""How many letters one receipt acknowledges at most."""

_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_LATEST = 1e11
"""Seconds; a moment above it is a mistake."""

IdText = Annotated[str, Field(max_length=64)]
AddressText = Annotated[str, Field(max_length=194)]
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
Moment = Annotated[float, Field(ge=0, le=_LATEST, allow_inf_nan=False)]


class Unreadable(ValueError):
    """What came in is no letter. *letter_id* is set when at least that could be read."""

    def __init__(self, why: str, *, letter_id: str = "") -> None:
        super().__init__(why)
        self.letter_id = letter_id


class Envelope(BaseModel):
    """A letter as it travels. Unknown fields of a newer peer are left out."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    v: Annotated[int, Field(ge=1, le=1_000_000)] = VERSION
    id: IdText
    sender: Annotated[AddressText, Field(alias="from")]
    to: AddressText
    ts: Moment = 0.0
    kind: Annotated[str, Field(max_length=32)] = LetterKind.NOTE.value
    subject: Annotated[str, Field(max_length=SUBJECT_CHARS)] = ""
    body: str
    content_type: Annotated[str, Field(max_length=100)] = "text/plain"
    priority: Annotated[str, Field(max_length=16)] = "normal"
    reply_to: AddressText = ""
    thread: Annotated[str, Field(max_length=64)] = ""
    answers: Annotated[str, Field(max_length=64)] = ""
    expires_at: Moment = 0.0

    @field_validator("id")
    @classmethod
    def _is_an_id(cls, value: str) -> str:
        if ID.fullmatch(value) is None:
            raise ValueError("not an id")
        return value

    @field_validator("subject", "content_type", "priority", "thread", "answers", "kind")
    @classmethod
    def _is_one_line(cls, value: str) -> str:
        if _LINE.fullmatch(value) is None:
            raise ValueError("has a line break or control character")
        return value

    @field_validator("body")
    @classmethod
    def _fits(cls, value: str) -> str:
        if len(value.encode()) > INLINE_BYTES:
            raise ValueError(f"is larger than {INLINE_BYTES} bytes")
        return value


def encode_letter(letter: Letter) -> bytes:
    """Write *letter* as it travels.

    Raises ``UsageError`` when a field breaks its limits: nothing is sent that a receiver would refuse.
    """
    fields = letter_fields(letter)
    try:
        payload = _ENCODER.encode(fields).encode()
        if not _is_plain(letter, payload):
            Envelope.model_validate(fields)
    except (ValidationError, UnicodeEncodeError) as exc:
        raise UsageError(
            f"this letter cannot be sent: {_first_fault(exc)}",
            hint=f"a body holds at most {INLINE_BYTES} bytes, a subject is one line of {SUBJECT_CHARS}",
        ) from exc
    return payload


def _is_plain(letter: Letter, payload: bytes) -> bool:
    """Whether a short look shows that nothing can be wrong; most letters are so."""
    return (
        len(payload) <= INLINE_BYTES
        and ID.fullmatch(letter.letter_id) is not None
        and not (letter.subject or letter.thread or letter.answers)
        and (letter.content_type, letter.priority) == ("text/plain", "normal")
        and 0 <= letter.created_at <= _LATEST
        and 0 <= letter.expires_at <= _LATEST
    )


def decode_letter(topic: str, payload: bytes, *, me: Address, verified: bool) -> Letter:
    """Read what came in on one of our inbox topics.

    The sender is the topic's, which the broker binds to the login; a payload that names another is refused.
    A neighbour's name is never proven: what comes from it passed through a topic that anybody may write.

    Raises ``Unreadable``.
    """
    sender = _sender(topic)
    if len(payload) > PAYLOAD_BYTES:
        raise Unreadable(f"{len(payload)} bytes, at most {PAYLOAD_BYTES} are taken")
    try:
        envelope = Envelope.model_validate_json(payload)
    except ValidationError as exc:
        raise Unreadable(_first_fault(exc), letter_id=_salvaged_id(payload)) from exc
    to_all = topic == topics.broadcast(sender)
    if envelope.sender != str(sender):
        raise Unreadable(f"says it is from {envelope.sender!r}, came from {sender}", letter_id=envelope.id)
    if envelope.to != (EVERYBODY if to_all else str(me)):
        raise Unreadable(f"is for {envelope.to!r}, came to {me}", letter_id=envelope.id)
    return Letter(
        letter_id=envelope.id,
        sender=sender,
        receiver=None if to_all else me,
        body=envelope.body,
        subject=envelope.subject,
        kind=_kind(envelope.kind),
        content_type=envelope.content_type,
        priority=envelope.priority,
        reply_to=_reply_to(envelope),
        thread=envelope.thread,
        answers=envelope.answers,
        created_at=envelope.ts,
        expires_at=envelope.expires_at,
        verified=verified and not is_neighbour(sender),
    )


class _ReceiptBody(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    state: LetterState
    ids: Annotated[list[IdText], Field(max_length=RECEIPT_IDS)]
    why: Annotated[str, Field(max_length=300)] = ""


def encode_receipt(receipt: Receipt) -> str:
    """The body of a letter of kind ``receipt``."""
    return json.dumps(
        {"state": receipt.state.value, "ids": list(receipt.letter_ids), "why": receipt.why[:300]}
    )


def decode_receipt(letter: Letter) -> Receipt:
    """Read a receipt. Raises ``Unreadable``; only a receiver's own states count."""
    try:
        body = _ReceiptBody.model_validate_json(letter.body)
    except ValidationError as exc:
        raise Unreadable(_first_fault(exc), letter_id=letter.letter_id) from exc
    if body.state in {LetterState.STORED, LetterState.SENT, LetterState.EXPIRED}:
        raise Unreadable(f"a receipt cannot say {body.state}", letter_id=letter.letter_id)
    return Receipt(body.state, tuple(body.ids), body.why)


class _IdOnly(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    id: IdText


def _salvaged_id(payload: bytes) -> str:
    """The id of a letter that breaks another rule, so that its sender can be told."""
    try:
        found = _IdOnly.model_validate_json(payload).id
    except ValidationError:
        return ""
    return found if ID.fullmatch(found) else ""


def _first_fault(exc: ValidationError | UnicodeEncodeError) -> str:
    """What is wrong, without the sender's text: it is not ours to repeat."""
    if isinstance(exc, UnicodeEncodeError):
        return "it holds a lone surrogate"
    fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'payload'}: {fault['msg']}"[:300]


def _sender(topic: str) -> Address:
    try:
        return topics.sender_of(topic)
    except (ValueError, TypeError) as exc:
        raise Unreadable(f"no sender in {topic!r}") from exc


def _kind(text: str) -> LetterKind:
    try:
        return LetterKind(text)
    except ValueError:
        return LetterKind.NOTE


def _reply_to(envelope: Envelope) -> Address | None:
    if not envelope.reply_to:
        return None
    try:
        return Address.parse(envelope.reply_to)
    except ValueError as exc:
        raise Unreadable("reply_to is no address", letter_id=envelope.id) from exc
