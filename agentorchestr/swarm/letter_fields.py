"""The fields of a letter as it travels; apart from ``wire``, so that a command can send without pydantic."""

from agentorchestr.model.mail import Letter

EVERYBODY = "*"
VERSION = 1


def letter_fields(letter: Letter) -> dict[str, object]:
    """*letter* as the object that is written as JSON."""
    return {
        "v": VERSION,
        "id": letter.letter_id,
        "from": str(letter.sender),
        "to": str(letter.receiver) if letter.receiver else EVERYBODY,
        "ts": letter.created_at,
        "kind": letter.kind.value,
        "subject": letter.subject,
        "body": letter.body,
        "content_type": letter.content_type,
        "priority": letter.priority,
        "reply_to": str(letter.reply_to) if letter.reply_to else "",
        "thread": letter.thread,
        "answers": letter.answers,
        "expires_at": letter.expires_at,
    }
