"""Letters and presence in swarmbus's words. Light, as a command that only sends loads it.

Source: swarmbus-py 0.2.0, ``message.py``: it reads nine fields and leaves out every other.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from agentorchestr.model import swarmbus
from agentorchestr.model.mail import Address, LetterKind

VIA = "agentorchestr"
"""Stands in ``via`` of whatever we publish there, so that none of us takes it for a neighbour's."""
SPOKEN = frozenset({LetterKind.NOTE, LetterKind.ASK, LetterKind.ANSWER})
"""The kinds of letters that mean something to an agent of swarmbus."""
EXTRAS = ("thread", "answers", "expires_at")


def written(fields: Mapping[str, object], *, sender: Address, to: str) -> tuple[str, bytes]:
    """The topic and payload of a letter whose own *fields* are as it travels among us.

    *to* is a name of swarmbus, or ``broadcast``. Raises ``ValueError`` for a sender without a name there.
    """
    sent_at = fields["ts"]
    moment = datetime.fromtimestamp(sent_at if isinstance(sent_at, float | int) else 0.0, UTC)
    envelope = {
        "id": fields["id"],
        "from": swarmbus.name_of(sender),
        "to": to,
        "ts": moment.isoformat(),
        "subject": fields["subject"],
        "body": fields["body"],
        "content_type": fields["content_type"],
        "priority": fields["priority"],
        "reply_to": _reply_to(str(fields["reply_to"])),
        "via": VIA,
        **{name: fields[name] for name in EXTRAS if fields[name]},
    }
    topic = swarmbus.BROADCAST if to == swarmbus.EVERYBODY else swarmbus.inbox(to)
    return topic, json.dumps(envelope, ensure_ascii=False).encode()


def presence_payload(name: str, *, online: bool) -> bytes:
    """What stands at an agent's presence topic."""
    return json.dumps({"agent": name, "status": "online" if online else "offline", "via": VIA}).encode()


def _reply_to(text: str) -> str | None:
    try:
        return swarmbus.name_of(Address.parse(text)) if text else None
    except ValueError:
        return None
