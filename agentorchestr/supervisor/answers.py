"""What came of a request that was put to an agent as a message: its answer, its next report, its end."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from agentorchestr.model import facts as f
from agentorchestr.model.states import Report
from agentorchestr.model.view import SessionView
from agentorchestr.supervisor.book import Book

A2A_THREAD, TASK_THREAD = "request a2a", "request task"
REQUEST_THREADS = frozenset({A2A_THREAD, TASK_THREAD})
"""Messages that somebody outside waits for; what answers them goes back by their own way, not as a letter.
No letter comes in with one of these."""
SUBJECT = "a request from outside: answer it with send_message and answers, or with your next report"


@dataclass(frozen=True)
class Outcome:
    """How a request ended."""

    done: bool
    text: str
    answered: bool = False
    """By a message of its own, not by a report."""


def request_id(kind: str, *asked: str | int) -> str:
    """The id of the message that puts a request to an agent, the same after a restart.

    *asked* tells it from every other: names in it are chosen by strangers, and two may choose the same.
    """
    return f"{kind}-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]}"


def request(
    message_id: str, sender: str, receiver: str, body: str, *, thread: str, verified: bool
) -> f.MessageQueued:
    """The message that puts a request to an agent."""
    return f.MessageQueued(
        message_id, sender, receiver, body, subject=SUBJECT, thread=thread, verified=verified
    )


def outcome(view: SessionView, worker_id: str, message_id: str) -> Outcome | None:
    """The request's end, as far as there is one: what its agent answered, in a message or with a report.

    A report counts when it came after the request was read.
    """
    said = (m for m in view.messages.values() if m.answers == message_id and m.sender == worker_id)
    answer = next(said, None)
    if answer is not None:
        return Outcome(done=True, text=answer.body, answered=True)
    worker, message = view.workers[worker_id], view.messages[message_id]
    if not worker.alive:
        return Outcome(done=False, text="the agent ended before it answered")
    if worker.report is None or message.read_at is None or worker.reported_at <= message.read_at:
        return None
    return Outcome(done=worker.report is Report.DONE, text=worker.summary or f"the agent is {worker.report}")


async def follow(book: Book, worker_id: str, message_id: str) -> AsyncIterator[Outcome | None]:
    """None when the agent has read the request, then how it ended."""
    told = False
    while True:
        view = book.view
        if view.messages[message_id].read_at is not None and not told:
            told = True
            yield None
        ended = outcome(view, worker_id, message_id)
        if ended is not None:
            yield ended
            return
        await book.next_after(view.last_seq)
