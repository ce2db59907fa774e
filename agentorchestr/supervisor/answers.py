"""What came of a request that was put to an agent as a message: its answer, its next report, its end."""

import hashlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from itertools import dropwhile

from agentorchestr.model import facts as f
from agentorchestr.model.states import WorkerState
from agentorchestr.model.view import MessageView, SessionView
from agentorchestr.supervisor.book import Book

A2A_THREAD, TASK_THREAD = "request a2a", "request task"
REQUEST_THREADS = frozenset({A2A_THREAD, TASK_THREAD})
"""Messages that somebody outside waits for; what answers them goes back by their own way, not as a letter.
No letter comes in with one of these."""
SUBJECTS = {
    A2A_THREAD: "a request from outside: answer it with send_message and answers, or with your next report; "
    "to ask its sender back, set question, too",
    TASK_THREAD: "a request from outside: answer it with send_message and answers, or with your next report",
}


@dataclass(frozen=True)
class Standing:
    """How far a request got: what its agent is doing about it, in the words for a worker's states."""

    state: WorkerState
    text: str = ""
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
        message_id, sender, receiver, body, subject=SUBJECTS[thread], thread=thread, verified=verified
    )


def standing(view: SessionView, worker_id: str, message_id: str) -> Standing:
    """Where the request stands: its agent's answer, its report after reading, its question, or its work."""
    worker, message = view.workers[worker_id], view.messages[message_id]
    said = _answers(view, message)
    answer = next((one for one in said if not one.question), None)
    if answer is not None:
        return Standing(WorkerState.DONE, answer.body, answered=True)
    if not worker.alive:
        return Standing(WorkerState.DEAD, "the agent ended before it answered")
    if message.read_at is None and not said:
        return Standing(WorkerState.STARTING)
    known_at = max([message.read_at or 0.0, *(one.at for one in said)])
    if worker.report is not None and worker.reported_at > known_at:
        return Standing(worker.state, worker.summary or f"the agent is {worker.report}")
    if said:
        return Standing(WorkerState.ASKS, said[-1].body, answered=True)
    if worker.asks:
        return Standing(WorkerState.ASKS, worker.asks)
    return Standing(WorkerState.WORKING)


def _answers(view: SessionView, message: MessageView) -> list[MessageView]:
    """What the agent said to the request; of a task of several turns it may still name an earlier one."""
    named = {message.message_id}
    if message.thread == A2A_THREAD:
        turns = (one for one in view.messages.values() if one.sender == message.sender)
        named.update(one.message_id for one in turns if one.receiver == message.receiver)
    later = dropwhile(lambda one: one.message_id != message.message_id, view.messages.values())
    return [one for one in later if one.answers in named and one.sender == message.receiver]


async def follow(book: Book, worker_id: str, message_id: str) -> AsyncGenerator[Standing]:
    """Where the request stands, each time it changes, until its agent is done, blocked, failed or dead."""
    told: Standing | None = None
    while True:
        view = book.view
        now = standing(view, worker_id, message_id)
        if now != told:
            told = now
            yield now
        if now.state.ended:
            return
        await book.next_after(view.last_seq)
