"""What a fact of a session means for letters that came from outside it: how far they got."""

from collections.abc import Iterable

from agentorchestr.journal.messages import TURN_BEGINS
from agentorchestr.model import facts as f
from agentorchestr.model.mail import Letter, LetterState
from agentorchestr.model.states import MessageStep
from agentorchestr.model.view import SessionView
from agentorchestr.supervisor.answers import REQUEST_THREADS

STATES = {
    MessageStep.HANDED: LetterState.HANDED,
    MessageStep.TURN_STARTED: LetterState.TURN_STARTED,
    MessageStep.READ: LetterState.READ,
    MessageStep.ACTED: LetterState.ACTED,
}


def letters_so_far(view: SessionView, worker_id: str) -> dict[str, LetterState]:
    """How far letters to *worker_id* got that got anywhere: an earlier supervisor may not have told."""
    mine = (one for one in view.messages.values() if _is_letter(view, one.message_id, worker_id))
    return {letter_id_of(one.message_id): STATES[one.step] for one in mine if one.step in STATES}


def message_id_of(letter: Letter, worker_id: str) -> str:
    """The id *letter* has as a message of this session: its own; a broadcast has one for each receiver."""
    return letter.letter_id if letter.receiver is not None else f"{letter.letter_id}@{worker_id}"


def letter_id_of(message_id: str) -> str:
    """The id of the letter that came as this message."""
    return message_id.partition("@")[0]


def letters_moved(
    view: SessionView, worker_id: str, fact: f.Fact
) -> tuple[LetterState, tuple[str, ...]] | None:
    """How far *fact* brought letters to *worker_id*, and their ids; None when it moved none.

    *view* holds the fact already, and maybe later ones: what went further meanwhile is told with those.
    """
    if worker_id not in {getattr(fact, "worker_id", ""), getattr(fact, "sender", "")}:
        return None
    found = _moved(view, worker_id, fact)
    if found is None:
        return None
    state, ids = found
    letters = tuple(letter_id_of(one) for one in ids if _is_letter(view, one, worker_id))
    return (state, letters) if letters else None


def _moved(view: SessionView, worker_id: str, fact: f.Fact) -> tuple[LetterState, Iterable[str]] | None:
    match fact:
        case f.LineGiven(message_ids=ids):
            return LetterState.HANDED, ids
        case f.AgentSeen(kind=kind) if kind in TURN_BEGINS:
            waiting = view.waiting.get(worker_id, {})
            return LetterState.TURN_STARTED, [
                one for one in waiting if view.messages[one].turn_at is not None
            ]
        case f.MessagesRead(message_ids=ids):
            return LetterState.READ, ids
        case f.MessageAnswered(message_id=message_id):
            return LetterState.ACTED, (message_id,)
        case f.MessageQueued(answers=answers) if answers:
            return LetterState.ACTED, (answers,)
        case f.WorkerReported():
            acted = [one.message_id for one in view.messages.values() if one.acted_at is not None]
            return LetterState.ACTED, acted
        case _:
            return None


def _is_letter(view: SessionView, message_id: str, worker_id: str) -> bool:
    message = view.messages.get(message_id)
    if message is None or message.receiver != worker_id:
        return False
    return "/" in message.sender and message.thread not in REQUEST_THREADS
