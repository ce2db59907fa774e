"""How far a message got, what showed it, and what its sender is told."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentorchestr.clock import Clock
from agentorchestr.errors import ToolRefused
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.mail import Address, Letter, LetterKind, LetterState
from agentorchestr.model.states import AgentEventKind, MessageStep, Report
from agentorchestr.model.view import SessionView
from agentorchestr.supervisor.answers import A2A_THREAD, REQUEST_THREADS, TASK_THREAD
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.desk import Principal, PrincipalKind
from agentorchestr.supervisor.letters_moved import letters_moved, letters_so_far
from agentorchestr.supervisor.mail_verbs import MailDesk
from agentorchestr.supervisor.post import message_of, queue_letter
from agentorchestr.supervisor.reading import (
    last_words,
    message_state,
    take_unread,
    unsure_events,
    unsure_replies,
)
from tests.supervisor.conftest import created, lives
from tests.supervisor.watching import new_book

Build = Callable[..., SessionView]
LETTER = f.MessageQueued("m1", "agentorchestr/s2/w9", "w1", "hello")
RUNG = f.DoorbellRung("w1", "message m1", "keys")
GIVEN = f.LineGiven("w1", "message m1", "keys", ("m1",))
BEGAN = f.AgentSeen("w1", AgentEventKind.PROMPT_TAKEN, "hook")
READ = f.MessagesRead("w1", ("m1",))
REPORTED = f.WorkerReported("w1", Report.DONE, "ok", "tool")
ANSWERED = f.MessageQueued("m2", "w1", "agentorchestr/s2/w9", "yes", answers="m1")


@pytest.mark.parametrize(
    ("facts", "step", "told"),
    [
        ((), MessageStep.QUEUED, None),
        ((RUNG,), MessageStep.QUEUED, None),
        ((RUNG, GIVEN), MessageStep.HANDED, LetterState.HANDED),
        ((BEGAN,), MessageStep.QUEUED, None),
        ((RUNG, GIVEN, BEGAN), MessageStep.TURN_STARTED, LetterState.TURN_STARTED),
        ((READ,), MessageStep.READ, LetterState.READ),
        ((READ, REPORTED), MessageStep.ACTED, LetterState.ACTED),
        ((READ, ANSWERED), MessageStep.ACTED, LetterState.ACTED),
        ((READ, f.MessageAnswered("w1", "m1")), MessageStep.ACTED, LetterState.ACTED),
        ((REPORTED,), MessageStep.QUEUED, None),
    ],
)
def test_each_step_is_a_fact_and_a_receipt(
    view_of: Build, facts: tuple[f.Fact, ...], step: MessageStep, told: LetterState | None
) -> None:
    view = view_of(*lives("w1"), LETTER, *facts)
    assert view.messages["m1"].step is step
    found = letters_moved(view, "w1", facts[-1]) if facts else None
    assert found == (None if told is None else (told, ("m1",)))
    assert letters_so_far(view, "w1") == ({} if told is None else {"m1": told})
    assert letters_so_far(view, "w2") == {}


def test_a_sender_is_told_each_step_with_what_showed_it(view_of: Build) -> None:
    view = view_of(*lives("w1"), LETTER, RUNG, GIVEN, BEGAN, READ, REPORTED)
    state = message_state(view, view.messages["m1"])
    assert state["state"] == "acted"
    assert state["evidence"] == {
        "handed": "keys",
        "turn_started": "hook",
        "read": "inbox tool",
        "acted": "report",
    }


def test_a_sender_is_told_why_a_message_is_not_read(view_of: Build) -> None:
    held = f.LineHeld("w1", "message m1", "a draft stands in its composer")
    view = view_of(*lives("w1"), LETTER, held)
    assert message_state(view, view.messages["m1"])["why"] == "a draft stands in its composer"
    view = view_of(*lives("w1"), LETTER, held, RUNG, GIVEN)
    assert "why" not in message_state(view, view.messages["m1"])


@pytest.mark.parametrize(
    ("before", "when"),
    [
        ((), "before it read this; started again, it would still be told"),
        ((f.WorkerKilled("w1", "lead"),), "before it read this"),
        ((READ,), "after it read this"),
        (
            (READ, f.ReplyUnsure("w1", ("m1",))),
            "and may have read this; started again, it would still be told",
        ),
    ],
)
def test_a_sender_is_told_of_a_reader_that_ended(
    view_of: Build, before: tuple[f.Fact, ...], when: str
) -> None:
    view = view_of(*lives("w1"), LETTER, *before, f.PaneDied("w1", 1, ""))
    assert message_state(view, view.messages["m1"])["why"] == f"w1 ended {when}"
    acted = view_of(*lives("w1"), LETTER, READ, REPORTED, f.PaneDied("w1", 1, ""))
    assert "why" not in message_state(acted, acted.messages["m1"])


def test_messages_of_the_session_and_requests_are_no_letters(view_of: Build) -> None:
    ours = f.MessageQueued("m1", "w2", "w1", "hello")
    asked = f.MessageQueued("m1", "a2a/t1", "w1", "do", thread=A2A_THREAD)
    for message in (ours, asked):
        assert letters_moved(view_of(*lives("w1"), message, READ), "w1", READ) is None
    assert letters_moved(view_of(*lives("w1"), LETTER, READ), "w2", READ) is None


def test_a_bell_that_was_held_in_the_middle_is_no_try(view_of: Build) -> None:
    held = f.LineHeld("w1", "message m1", "a person types in its composer")
    view = view_of(*lives("w1"), LETTER, *((RUNG, held) * 5))
    assert view.workers["w1"].bells == 0
    assert view_of(*lives("w1"), LETTER, *((RUNG,) * 5), GIVEN).workers["w1"].bells == 1
    assert view_of(*lives("w1"), LETTER, RUNG, GIVEN, held).workers["w1"].bells == 1


def recorded(*facts: f.Fact, apart_s: float = 0.1) -> list[Recorded]:
    return [Recorded(n, n * apart_s, 1, fact) for n, fact in enumerate(facts, start=1)]


def test_a_reply_that_may_be_lost_is_given_again_marked_as_such(view_of: Build) -> None:
    before = (*lives("w1"), LETTER, READ)
    (unsure,) = unsure_replies(recorded(*before, BEGAN))
    assert unsure == f.ReplyUnsure("w1", ("m1",))
    again = view_of(*before, unsure)
    (message,) = again.unread_of("w1")
    assert message.again
    assert view_of(*before, unsure, READ).unread_of("w1") == ()


@pytest.mark.parametrize("later", [REPORTED, ANSWERED, f.ProgressNoted("w1", "on it")])
def test_a_reader_that_went_on_had_its_reply(later: f.Fact) -> None:
    assert unsure_replies(recorded(*lives("w1"), LETTER, READ, later)) == []


def test_a_read_long_before_the_end_is_no_lost_reply() -> None:
    quiet = f.NoteWritten("n1", "w2", "text")
    assert unsure_replies(recorded(*lives("w1"), LETTER, READ, quiet, apart_s=10)) == []
    assert unsure_replies([]) == []


TOLD = (created(), *lives("lead"), *lives("w1"), REPORTED)
GIVEN_EVENTS = f.EventsRead("lead", len(TOLD))


def test_news_whose_reply_may_be_lost_is_told_the_lead_again_once(view_of: Build) -> None:
    (unsure,) = unsure_events(recorded(*TOLD, GIVEN_EVENTS))
    assert unsure == f.EventsUnsure("lead", (len(TOLD),))
    again = view_of(*TOLD[1:], GIVEN_EVENTS, unsure)
    assert [event.kind for event in again.unread_events] == ["done"]
    assert view_of(*TOLD[1:], GIVEN_EVENTS, unsure, GIVEN_EVENTS).unread_events == ()
    told = f.EventsRead("lead", told=(len(TOLD),))
    assert view_of(*TOLD[1:], GIVEN_EVENTS, unsure, told).unread_events == ()


@pytest.mark.parametrize(
    "later",
    [f.MergeAsked("m", "w1", allow_test_changes=False), f.EventsRead("lead", 99), f.VerifyAsked("v", "c")],
)
def test_a_lead_that_went_on_had_its_news(later: f.Fact) -> None:
    assert unsure_events(recorded(*TOLD, GIVEN_EVENTS, later)) == []
    assert unsure_events(recorded(*TOLD, GIVEN_EVENTS, f.NoteWritten("n", "w1", "x"), apart_s=10)) == []
    assert unsure_events([]) == []


class SentLetters:
    """The part of the post that sends, kept in a list."""

    def __init__(self) -> None:
        self.letters: list[tuple[Address | None, Letter]] = []

    def address(self, worker_id: str) -> Address:
        return Address("agentorchestr", "s1", worker_id)

    def check(self, _: Address, body: str = "") -> None:
        """Every address is reached."""

    def member(self, _: str) -> Any:
        return SimpleNamespace()

    async def send(self, _: str, to: Address, letter: Letter) -> Letter:
        self.letters.append((to, letter))
        return letter

    async def broadcast(self, _: str, letter: Letter) -> Letter:
        self.letters.append((None, letter))
        return letter


@pytest.fixture
def book(tmp_path: Path) -> Any:
    made = new_book(tmp_path)
    yield made
    made._journal.close()


def desk_of(book: Book, worker_id: str, post: Any = None) -> MailDesk:
    gear: Any = Gear(book)
    return MailDesk(gear, Principal(worker_id, PrincipalKind.WORKER, 5.0), post)


class Gear:
    """As much of the session's gear as these verbs touch."""

    def __init__(self, book: Book) -> None:
        self.book, self.session_id, self.clock = book, "s1", Clock()

    @property
    def view(self) -> SessionView:
        return self.book.view


NO_WORDS = {"subject": "", "priority": "normal", "answers": "", "operation": ""}


@pytest.mark.anyio
async def test_one_call_writes_to_several_here_and_elsewhere(book: Book) -> None:
    await book.record(*lives("w1"), *lives("w2"), *lives("w3"))
    post = SentLetters()
    reply = await desk_of(book, "w1", post).send_message("w2, w3,s9/w1, w2", "go", **NO_WORDS)
    sent: Any = reply["sent"]
    assert [one["to"] for one in sent] == ["w2", "w3", "s9/w1"]
    assert sorted(m.receiver for m in book.view.messages.values()) == ["w2", "w3"]
    assert [to for to, _ in post.letters] == [Address("agentorchestr", "s9", "w1")]


@pytest.mark.anyio
@pytest.mark.parametrize("to", ["w2,nobody", "w2,s9/", "w2,w1", ",", "w2,s9/w1"])
async def test_one_wrong_name_and_nothing_is_sent(book: Book, to: str) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    with pytest.raises(ToolRefused):
        await desk_of(book, "w1").send_message(to, "go", **NO_WORDS)
    assert not book.view.messages


@pytest.mark.anyio
async def test_a_repeated_operation_sends_nothing_twice(book: Book) -> None:
    await book.record(*lives("w1"), *lives("w2"), *lives("w3"))
    once = {**NO_WORDS, "operation": "op-1"}
    first = await desk_of(book, "w1").send_message("w2", "go", **once)
    assert await desk_of(book, "w1").send_message("w2", "go", **once) == first
    await desk_of(book, "w3").send_message("w2", "go", **once)
    assert len(book.view.messages) == 2, "another sender's operation is another one"
    queued = [one for one in await book.facts(after=0, limit=-1) if isinstance(one.fact, f.MessageQueued)]
    assert len(queued) == 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("scope", "here", "outside"), [("session", 1, 0), ("outside", 0, 1), ("everybody", 1, 1)]
)
async def test_a_broadcast_stays_in_its_scope(book: Book, scope: str, here: int, outside: int) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    post = SentLetters()
    await desk_of(book, "w1", post).broadcast("hear", subject="", scope=scope)
    assert (len(book.view.messages), len(post.letters)) == (here, outside)


@pytest.mark.anyio
async def test_an_answer_sent_outside_is_the_letters_end(book: Book) -> None:
    await book.record(*lives("w1"), LETTER, READ)
    words = {**NO_WORDS, "answers": "m1"}
    await desk_of(book, "w1", SentLetters()).send_message(LETTER.sender, "yes", **words)
    assert book.view.messages["m1"].step is MessageStep.ACTED


@pytest.mark.anyio
async def test_all_that_is_said_of_a_letter_leaves_the_session_with_it(book: Book) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    post, now = SentLetters(), time.time()
    await desk_of(book, "w1", post).send_message(
        "s2/w9", "# hi", reply_to="w2", thread="t", content_type="text/markdown", expires_s=60, question=True
    )
    [(_, letter)] = post.letters
    assert (letter.thread, letter.content_type) == ("t", "text/markdown")
    assert letter.reply_to == Address("agentorchestr", "s1", "w2")
    assert letter.kind is LetterKind.ASK
    assert now + 60 <= letter.expires_at <= time.time() + 60


@pytest.mark.anyio
async def test_thread_content_type_and_reply_to_reach_a_reader_from_here_and_from_elsewhere(
    book: Book,
) -> None:
    await book.record(*lives("w1"), *lives("w2"), *lives("w3"))
    desk = desk_of(book, "w2")
    await desk_of(book, "w1").send_message(
        "w2", "hi", reply_to="w3", thread="t", content_type="text/markdown"
    )
    reply: Any = await desk.read_inbox()
    [line] = reply["messages"]
    assert (line["reply_to"], line["thread"], line["content_type"]) == ("w3", "t", "text/markdown")
    ann, ben = (Address("agentorchestr", "local", name) for name in ("ann", "ben"))
    await queue_letter(book, Letter("1", ann, Address("agentorchestr", "s1", "w2"), "hi", reply_to=ben), "w2")
    reply = await desk.read_inbox()
    assert reply["messages"][0]["reply_to"] == str(ben)
    assert "content_type" not in reply["messages"][0]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("w2", {"expires_s": 5.0}),
        ("w2", {"reply_to": "nobody"}),
        ("w2", {"reply_to": "a/b/c/d"}),
        ("w2", {"thread": A2A_THREAD}),
        ("s2/w9", {"thread": "two words"}),
    ],
)
async def test_what_cannot_be_said_of_a_message_is_refused(book: Book, to: str, words: Any) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    post = SentLetters()
    with pytest.raises(ToolRefused):
        await desk_of(book, "w1", post).send_message(to, "hi", **words)
    assert not book.view.messages
    assert not post.letters


@pytest.mark.anyio
async def test_a_delegated_task_takes_no_question_for_an_answer(book: Book) -> None:
    await book.record(*lives("w1"), replace(LETTER, thread=TASK_THREAD))
    with pytest.raises(ToolRefused, match="no turn"):
        await desk_of(book, "w1").send_message(LETTER.sender, "which?", answers="m1", question=True)


@pytest.mark.anyio
async def test_of_many_reads_at_once_only_one_gets_a_message(book: Book) -> None:
    await book.record(*lives("w1"), *(f.MessageQueued(f"m{n}", "w2", "w1", "x") for n in range(20)))
    taken = await asyncio.gather(*(take_unread(book, "w1") for _ in range(8)))
    assert sorted(m.message_id for one in taken for m in one) == sorted(f"m{n}" for n in range(20))


@pytest.mark.anyio
async def test_a_broadcast_from_outside_is_a_message_of_each_receiver(book: Book) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    sender = Address("agentorchestr", "s2", "w9")
    to_all = Letter("b1", sender, None, "hear", verified=True)
    for worker_id in ("w1", "w2", "w1"):
        await book.record(message_of(to_all, worker_id))
    assert {worker_id: len(book.view.unread_of(worker_id)) for worker_id in ("w1", "w2")} == {
        "w1": 1,
        "w2": 1,
    }
    [one] = await take_unread(book, "w2")
    fact = (await book.facts(after=0, limit=-1))[-1].fact
    assert letters_moved(book.view, "w2", fact) == (LetterState.READ, ("b1",)), (
        "told under the letter's own id"
    )
    post = SentLetters()
    await desk_of(book, "w2", post).send_message(
        str(sender), "yes", **{**NO_WORDS, "answers": one.message_id}
    )
    assert [letter.answers for _, letter in post.letters] == ["b1"]
    assert book.view.unread_of("w1"), "what one does with it says nothing of the other"


@pytest.mark.anyio
@pytest.mark.parametrize("thread", ["task", "a2a", *REQUEST_THREADS])
async def test_an_answer_to_a_letter_goes_out_whatever_its_thread_is_called(book: Book, thread: str) -> None:
    await book.record(*lives("w1"))
    sender = Address("agentorchestr", "s2", "w9")
    letter = Letter("l1", sender, Address("agentorchestr", "s1", "w1"), "well?", thread=thread)
    await book.record(message_of(letter, "w1"))
    post = SentLetters()
    await desk_of(book, "w1", post).send_message(str(sender), "yes", **{**NO_WORDS, "answers": "l1"})
    assert [to for to, _ in post.letters] == [sender]


@pytest.mark.anyio
async def test_letters_of_one_id_from_two_senders_or_to_two_agents_are_all_there(book: Book) -> None:
    await book.record(*lives("w1"), *lives("w2"))
    ann, ben = (Address("agentorchestr", "local", name) for name in ("ann", "ben"))
    for sender, worker_id in ((ann, "w1"), (ben, "w1"), (ann, "w2"), (ben, "w1"), (ann, "w1")):
        to = Address("agentorchestr", "s1", worker_id)
        await queue_letter(book, Letter("1", sender, to, f"of {sender.agent}"), worker_id)
    assert [(one.receiver, one.body) for one in book.view.messages.values()] == [
        ("w1", "of ann"),
        ("w1", "of ben"),
        ("w2", "of ann"),
    ]
    for one in book.view.unread_of("w1"):
        post = SentLetters()
        await desk_of(book, "w1", post).send_message(
            one.sender, "yes", **{**NO_WORDS, "answers": one.message_id}
        )
        assert [letter.answers for _, letter in post.letters] == ["1"]


def test_what_was_recorded_after_a_supervisor_fell_hides_no_reply_that_was_lost() -> None:
    told = recorded(*TOLD, LETTER, READ, GIVEN_EVENTS)
    later = Recorded(len(told) + 1, told[-1].at + 60, 2, f.NotOnBus("no broker"))
    kinds = [type(fact) for fact in last_words([*told, later], generation=1)]
    assert kinds == [f.ReplyUnsure, f.EventsUnsure]
