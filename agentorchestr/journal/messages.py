"""How facts move the messages of a session: queued, handed, turn started, read, acted."""

from dataclasses import replace

from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import MessageView, SessionView

TURN_BEGINS = {AgentEventKind.PROMPT_TAKEN, AgentEventKind.ACTIVE}


def follow_messages(view: SessionView, item: Recorded) -> None:
    """Change the messages of *view*, which are owned by the reducer, by what *item* says of them."""
    match item.fact:
        case f.MessageQueued():
            _queued(view, item.fact, item.at)
        case f.LineGiven(message_ids=ids, channel=channel):
            _handed(view, ids, channel, item.at)
        case f.AgentSeen(worker_id=worker_id, kind=kind, source=source) if kind in TURN_BEGINS:
            _turn_began(view, worker_id, source, item.at)
        case f.MessagesRead(worker_id=worker_id, message_ids=ids):
            _read(view, worker_id, ids, item.at)
        case f.WorkerReported(worker_id=worker_id):
            for message_id in tuple(view.unacted.get(worker_id, ())):
                _acted(view, message_id, "report", item.at)
        case f.MessageAnswered(message_id=message_id):
            _acted(view, message_id, "answer", item.at)
        case f.ReplyUnsure(worker_id=worker_id, message_ids=ids):
            _unread_again(view, worker_id, ids)
        case _:
            pass


def _queued(view: SessionView, fact: f.MessageQueued, at: float) -> None:
    if fact.message_id in view.messages:
        return  # a letter that arrives a second time is the same message
    view.messages[fact.message_id] = _message_view(fact, at)
    view.waiting.setdefault(fact.receiver, {})[fact.message_id] = None
    asked = view.messages.get(fact.answers)
    if asked is not None and asked.receiver == fact.sender:
        _acted(view, fact.answers, "answer", at)


def _handed(view: SessionView, ids: tuple[str, ...], channel: str, at: float) -> None:
    for message_id in ids:
        message = view.messages.get(message_id)
        if message is not None and message.handed_at is None:
            view.messages[message_id] = replace(message, handed_at=at, handed_by=channel)


def _turn_began(view: SessionView, worker_id: str, source: str, at: float) -> None:
    worker = view.workers.get(worker_id)
    # An agent may be quicker than we are to write down that it took the line.
    rung = worker is not None and worker.bell_open
    for message_id in view.waiting.get(worker_id, ()):
        message = view.messages[message_id]
        if (rung or message.handed_at is not None) and message.turn_at is None:
            view.messages[message_id] = replace(message, turn_at=at, turn_by=source)


def _read(view: SessionView, worker_id: str, ids: tuple[str, ...], at: float) -> None:
    for message_id in ids:
        message = view.messages.get(message_id)
        view.waiting.get(worker_id, {}).pop(message_id, None)
        if message is not None and message.read_at is None:
            view.messages[message_id] = replace(message, read_at=at)
            if message.acted_at is None:
                view.unacted.setdefault(worker_id, {})[message_id] = None


def _acted(view: SessionView, message_id: str, by: str, at: float) -> None:
    message = view.messages.get(message_id)
    if message is None or message.acted_at is not None:
        return
    view.messages[message_id] = replace(message, acted_at=at, acted_by=by)
    view.unacted.get(message.receiver, {}).pop(message_id, None)


def _unread_again(view: SessionView, worker_id: str, ids: tuple[str, ...]) -> None:
    again = {message_id: None for message_id in ids if message_id in view.messages}
    for message_id in again:
        view.messages[message_id] = replace(view.messages[message_id], read_at=None, again=True)
        view.unacted.get(worker_id, {}).pop(message_id, None)
    # Before what came after them.
    view.waiting[worker_id] = {**again, **view.waiting.get(worker_id, {})}


def _message_view(fact: f.MessageQueued, at: float) -> MessageView:
    return MessageView(
        message_id=fact.message_id,
        at=at,
        sender=fact.sender,
        receiver=fact.receiver,
        body=fact.body,
        question=fact.question,
        subject=fact.subject,
        priority=fact.priority,
        thread=fact.thread,
        answers=fact.answers,
        verified=fact.verified,
        reply_to=fact.reply_to,
        content_type=fact.content_type,
    )
