"""Make letters of what a person or program gives, checked so that each fault is one clear line."""

import re
import time
from dataclasses import dataclass, replace
from typing import TypedDict
from uuid import uuid4

from agentorchestr.bus.names import address_of
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import ID, INLINE_BYTES, SUBJECT_CHARS, Address, Letter, LetterKind
from agentorchestr.swarm.artifacts import ARTIFACT_TYPE, TEXT, Shelf

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LATE_S = 86400.0
"""An artifact outlives the letter that names it by this."""
EXPIRES_MOST_S = 30 * 365 * 86400.0
"""Below what MQTT can say of a time."""
WORD_CHARS = {"content_type": 100, "priority": 16}


@dataclass(frozen=True)
class Options:
    """What may be said of a letter beside its receiver and body."""

    subject: str = ""
    content_type: str = "text/plain"
    priority: str = "normal"
    reply_to: Address | None = None
    thread: str = ""
    answers: str = ""
    expires_s: float = 0.0
    """0: never."""
    kind: LetterKind | None = None
    """By default an answer when it answers something, else a note."""


PLAIN = Options()


class Words(TypedDict, total=False):
    """``Options`` as keyword arguments; an address may be its name."""

    subject: str
    content_type: str
    priority: str
    reply_to: "str | Address | None"
    thread: str
    answers: str
    expires_s: float


def options_of(words: Words, *, kind: LetterKind | None = None) -> Options:
    """Read keyword arguments. Raises ``UsageError``."""
    reply_to = words.get("reply_to") or None
    return Options(
        subject=words.get("subject", ""),
        content_type=words.get("content_type", "text/plain"),
        priority=words.get("priority", "normal"),
        reply_to=address_of(reply_to) if isinstance(reply_to, str) else reply_to,
        thread=words.get("thread", ""),
        answers=words.get("answers", ""),
        expires_s=words.get("expires_s", 0.0),
        kind=kind,
    )


def fitted(shelf: Shelf, body: str, options: Options) -> tuple[str, Options]:
    """*body* and *options* for a letter: a body over 64 KiB goes to the shelf and is named instead.

    Raises ``UsageError`` for what is too large for that, too. Blocking.
    """
    if len(body) <= INLINE_BYTES // 4:
        return body, options
    content = _encoded(body)
    return (body, options) if len(content) <= INLINE_BYTES else apart(shelf, content, options)


def apart(
    shelf: Shelf, content: bytes, options: Options, *, name: str = "", is_text: bool = True
) -> tuple[str, Options]:
    """What a letter says of *content*, which goes to the shelf; as ``fitted``."""
    _check("", options)
    kind = options.content_type if is_text or options.content_type != TEXT else "application/octet-stream"
    until = time.time() + options.expires_s + LATE_S if options.expires_s else 0.0
    ref = shelf.put(content, name=name, content_type=kind, until=until)
    return ref.write(), replace(options, content_type=ARTIFACT_TYPE)


def make_letter(me: Address, to: Address | None, body: str, options: Options = PLAIN) -> Letter:
    """A letter of ours, made now.

    Raises ``UsageError`` for what cannot travel.
    """
    _check(body, options)
    now = time.time()
    return Letter(
        letter_id=uuid4().hex,
        sender=me,
        receiver=to,
        body=body,
        subject=options.subject,
        kind=options.kind or (LetterKind.ANSWER if options.answers else LetterKind.NOTE),
        content_type=options.content_type,
        priority=options.priority,
        reply_to=options.reply_to,
        thread=options.thread,
        answers=options.answers,
        created_at=now,
        expires_at=now + options.expires_s if options.expires_s else 0.0,
    )


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise UsageError("the letter is not UTF-8", hint="send text; put other data into a file") from exc


def _check(body: str, options: Options) -> None:
    size = len(_encoded(body))
    _encoded(f"{options.subject}{options.content_type}{options.priority}")
    if size > INLINE_BYTES:
        raise UsageError(
            f"the body has {size:,} bytes; at most {INLINE_BYTES:,} (64 KiB) fit",
            hint="put it into a file both can read, and send the file's path",
        )
    if len(options.subject) > SUBJECT_CHARS or _CONTROLS.search(options.subject):
        raise UsageError(f"a subject is one line of at most {SUBJECT_CHARS} characters")
    for name, limit in WORD_CHARS.items():
        value = getattr(options, name)
        if not value or len(value) > limit or _CONTROLS.search(value):
            raise UsageError(f"not a {name.replace('_', ' ')}: {value!r}")
    for name in ("thread", "answers"):
        value = getattr(options, name)
        if value and ID.fullmatch(value) is None:
            raise UsageError(f"{name} must be an id: 1 to 64 of A-Z a-z 0-9 _ . -")
    if not 0 <= options.expires_s <= EXPIRES_MOST_S:
        raise UsageError("a letter expires after it is sent, and within 30 years", hint="0: it never expires")
