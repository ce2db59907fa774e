"""How messages are read: each handed over once, and how far one got for whoever sent it."""

from agentorchestr.journal.reducer import step
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Fact, Recorded
from agentorchestr.model.states import LEAD
from agentorchestr.model.view import MessageView, SessionView
from agentorchestr.supervisor.book import Book

IN_FLIGHT_S = 2.0
"""A reply written down so shortly before a supervisor's last fact may not have reached its reader."""

GOES_ON = (f.MessageQueued, f.MessageAnswered, f.WorkerReported, f.ProgressNoted, f.WorkerKilled)
"""A reader that did this had its reply. What hooks tell may belong to the very call whose reply was lost."""


async def take_unread(book: Book, worker_id: str) -> tuple[MessageView, ...]:
    """What waits for *worker_id*, counted as read now; of two calls at once only one gets a message."""
    taken: tuple[MessageView, ...] = ()

    def choose(view: SessionView) -> list[Fact]:
        nonlocal taken
        taken = view.unread_of(worker_id)
        return [f.MessagesRead(worker_id, tuple(one.message_id for one in taken))] if taken else []

    await book.decide(choose)
    return taken


def last_words(recorded: list[Recorded], *, generation: int) -> list[Fact]:
    """What the supervisor of *generation* told just before it ended, and nobody knows whether it was heard.

    What a resume and its successor have recorded since tells nothing of when it ended.
    """
    its = [each for each in recorded if each.generation <= generation]
    return [*unsure_replies(its), *unsure_events(its)]


def unsure_replies(recorded: list[Recorded]) -> list[Fact]:
    """The reads of an ended supervisor whose replies may never have arrived, to be recorded by the next one.

    They are its last words with that reader: nothing of the reader was seen after them, and they came in
    the last moments. Handing a message over again, marked, is better than losing it.
    """
    if not recorded:
        return []
    last_at = recorded[-1].at
    unsure: dict[str, tuple[str, ...]] = {}
    for item in recorded:
        reader = getattr(item.fact, "worker_id", getattr(item.fact, "sender", ""))
        if isinstance(item.fact, f.MessagesRead) and item.at >= last_at - IN_FLIGHT_S:
            unsure[reader] = (*unsure.get(reader, ()), *item.fact.message_ids)
        elif isinstance(item.fact, GOES_ON):
            unsure.pop(reader, None)
    return [f.ReplyUnsure(reader, ids) for reader, ids in unsure.items()]


def unsure_events(recorded: list[Recorded]) -> list[Fact]:
    """The same for the events that the lead was given last, unless it did anything after that."""
    last_at = recorded[-1].at if recorded else 0.0
    given: tuple[int, ...] = ()
    view: SessionView | None = None
    for item in recorded:
        if isinstance(item.fact, f.EventsRead) and view is not None:
            # Its call is the proof that the reply before arrived.
            given = _given(view, item.fact) if item.at >= last_at - IN_FLIGHT_S else ()
        elif _lead_acted(item.fact):
            given = ()
        view = step(view, item)
    return [f.EventsUnsure(LEAD, given)] if given else []


def _given(view: SessionView, fact: f.EventsRead) -> tuple[int, ...]:
    unread = [event.seq for event in view.unread_events]
    return tuple(seq for seq in unread if seq <= fact.up_to or seq in fact.told)


def _lead_acted(fact: Fact) -> bool:
    match fact:
        case f.WorkerSpawned() | f.MergeAsked() | f.VerifyAsked() | f.GoalMarked() | f.TaskAdded():
            return True
        case f.MessageQueued(sender=actor) | f.ProgressNoted(worker_id=actor) | f.WorkerKilled(by=actor):
            return actor == LEAD
        case _:
            return False


def message_state(view: SessionView, message: MessageView) -> dict[str, object]:
    """How far a message got, with the evidence of each step, for its sender."""
    evidence_of = {
        "handed": (message.handed_at, message.handed_by),
        "turn_started": (message.turn_at, message.turn_by),
        "read": (message.read_at, "inbox tool"),
        "acted": (message.acted_at, message.acted_by),
    }
    evidence = {step_name: by for step_name, (at, by) in evidence_of.items() if at is not None}
    state: dict[str, object] = {"message_id": message.message_id, "state": message.step.value}
    if evidence:
        state["evidence"] = evidence
    why = _why_not_acted(view, message)
    return {**state, "why": why} if why else state


def _why_not_acted(view: SessionView, message: MessageView) -> str:
    receiver = view.workers.get(message.receiver)
    if receiver is None or message.acted_at is not None:
        return ""
    if receiver.pid and not receiver.alive:
        again = "" if receiver.killed else "; started again, it would still be told"
        return f"{message.receiver} ended {_when(message)}{again if message.read_at is None else ''}"
    if message.read_at is not None:
        return ""
    return receiver.held or receiver.asks or (receiver.last_note if receiver.stalled else "")


def _when(message: MessageView) -> str:
    """When its reader ended. A reply that a crash of ours swallowed leaves that open."""
    if message.read_at is not None:
        return "after it read this"
    return "and may have read this" if message.again else "before it read this"
