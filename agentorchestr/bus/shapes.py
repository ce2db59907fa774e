"""Letters, standings, cards and tasks as JSON: our own stable shapes."""

from dataclasses import asdict

from agentorchestr.bus.names import short_name
from agentorchestr.model.mail import AgentCard, DelegatedTask, Letter, Standing
from agentorchestr.swarm.artifacts import ref_of

Shape = dict[str, object]


def letter_shape(letter: Letter) -> Shape:
    """Give one letter. What its body stands for, when that is kept apart, is its artifact."""
    return {
        "id": letter.letter_id,
        "from": short_name(letter.sender),
        "to": short_name(letter.receiver) if letter.receiver else "all",
        "kind": letter.kind.value,
        "subject": letter.subject,
        "body": letter.body,
        "artifact": _artifact(letter.body),
        "content_type": letter.content_type,
        "priority": letter.priority,
        "reply_to": short_name(letter.reply_to) if letter.reply_to else None,
        "thread": letter.thread or None,
        "answers": letter.answers or None,
        "created_at": letter.created_at,
        "expires_at": letter.expires_at or None,
        "verified": letter.verified,
    }


def standing_shape(standing: Standing) -> Shape:
    """Give how far one letter of ours got."""
    letter = standing.letter
    return {
        "id": letter.letter_id,
        "to": short_name(letter.receiver) if letter.receiver else "all",
        "state": standing.state.value,
        "why": standing.why or None,
        "tries": standing.tries,
    }


def card_shape(card: AgentCard) -> Shape:
    """Give one agent."""
    return {
        "agent": short_name(card.address),
        "address": str(card.address),
        "online": card.online,
        "role": card.role or None,
        "program": card.program or None,
        "state": card.state or None,
        "free_slots": card.free_slots,
        "description": card.description,
        "capabilities": [{"name": skill.name, "description": skill.description} for skill in card.skills],
        "host": card.host or None,
        "seen_at": card.seen_at,
    }


def task_shape(task: DelegatedTask, *, mine: bool) -> Shape:
    """Give one delegated task; *mine*: we gave it, else we were given it."""
    return {
        "id": task.task_id,
        "side": "given" if mine else "taken",
        "requester": short_name(task.requester),
        "capability": task.capability or None,
        "assignee": short_name(task.assignee) if task.assignee else None,
        "state": task.state.value,
        "attempt": task.attempt,
        "text": task.text,
        "result": task.result or None,
        "artifact": _artifact(task.result if mine else task.text),
        "why": task.why or None,
        "created_at": task.created_at,
        "expires_at": task.expires_at,
        "updated_at": task.updated_at,
    }


def _artifact(text: str) -> Shape | None:
    ref = ref_of(text)
    return None if ref is None else asdict(ref)
