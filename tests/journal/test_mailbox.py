import sqlite3
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from agentorchestr.errors import JournalError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_outbox import Mark, Receipt
from agentorchestr.journal.mailbox_tasks import Said, Side
from agentorchestr.model.mail import Address, DelegatedState, DelegatedTask, Letter, LetterKind, LetterState

ANN = Address("o", "u", "ann")
BEN = Address("o", "u", "ben")
CAT = Address("o", "u", "cat")


@pytest.fixture
def store(tmp_path: Path) -> MailStore:
    with MailStore(tmp_path / "mail.sqlite") as opened:
        yield opened


def letter(letter_id: str = "l1", *, receiver: Address | None = BEN, expires_at: float = 0.0) -> Letter:
    return Letter(
        letter_id,
        ANN,
        receiver,
        "body\0ü",
        subject="s",
        kind=LetterKind.ASK,
        content_type="c",
        priority="p",
        reply_to=CAT,
        thread="t",
        answers="a",
        created_at=1.5,
        expires_at=expires_at,
    )


def put(store: MailStore, *letters: Letter, at: float = 0.0) -> None:
    store.outbox.put(letters, next_try_at=at, now=1.0)


def state(store: MailStore, letter_id: str = "l1") -> LetterState:
    found = store.outbox.find(ANN, letter_id)
    assert found is not None
    return found.state


def test_a_letter_comes_back_from_both_boxes_as_it_went_in(store: MailStore) -> None:
    for each in (letter(), letter("l2", receiver=None)):
        put(store, each)
        assert (store.outbox.find(ANN, each.letter_id) or pytest.fail("lost")).letter == each
        sure = replace(each, verified=True)
        [arrived] = store.inbox.receive(BEN, [sure], now=1.0)
        assert arrived.letter == sure
        [again] = store.inbox.find(BEN, each.letter_id)
        assert again == arrived


def test_the_file_is_private_and_opens_again(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite"
    with MailStore(path) as first, MailStore(path) as second:
        put(first, letter())
        assert second.outbox.find(ANN, "l1") is not None
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    with MailStore(path) as again:
        assert again.outbox.find(ANN, "l1") is not None


def test_a_second_arrival_changes_nothing(store: MailStore) -> None:
    assert len(store.inbox.receive(BEN, [letter(), letter(), letter("l2")], now=1.0)) == 2
    assert store.inbox.receive(BEN, [replace(letter(), body="other")], now=2.0) == []
    assert [each.letter.body for each in store.inbox.find(BEN, "l1")] == ["body\0ü"]
    assert len(store.inbox.receive(CAT, [letter()], now=1.0)) == 1


def test_a_letter_put_twice_is_one(store: MailStore) -> None:
    put(store, letter())
    put(store, replace(letter(), body="other"))
    assert [each.letter.body for each in store.outbox.recent(ANN, limit=9)] == ["body\0ü"]


def test_what_is_handled_waits_no_more(store: MailStore) -> None:
    arrived = store.inbox.receive(BEN, [letter(f"l{n}") for n in range(5)], now=1.0)
    store.inbox.handle(BEN, [arrived[0].row, arrived[2].row])
    store.inbox.handle(CAT, [arrived[1].row])
    assert [each.letter.letter_id for each in store.inbox.waiting(BEN, after=0, limit=9)] == [
        "l1",
        "l3",
        "l4",
    ]
    assert [each.row for each in store.inbox.waiting(BEN, after=arrived[1].row, limit=1)] == [arrived[3].row]
    assert store.inbox.waiting(BEN, after=0, limit=9, kinds=[LetterKind.NOTE]) == []
    assert len(store.inbox.waiting(BEN, after=0, limit=9, kinds=[LetterKind.ASK])) == 3
    assert store.inbox.waiting(BEN, after=0, limit=9, but=[LetterKind.ASK]) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([LetterState.RECEIVED, LetterState.SENT], LetterState.RECEIVED),
        ([LetterState.ACTED, LetterState.RECEIVED], LetterState.ACTED),
        ([LetterState.READ, LetterState.REFUSED], LetterState.READ),
        ([LetterState.REFUSED, LetterState.READ], LetterState.REFUSED),
    ],
)
def test_a_receipt_never_moves_a_letter_back(
    store: MailStore, told: list[LetterState], expected: LetterState
) -> None:
    put(store, letter())
    for each in told:
        store.outbox.apply(ANN, BEN, Receipt(each, ("l1",)), now=2.0)
    assert state(store) is expected


def test_only_the_receiver_can_receipt(store: MailStore) -> None:
    put(store, letter())
    assert store.outbox.apply(ANN, CAT, Receipt(LetterState.ACTED, ("l1", "unknown")), now=2.0) == []
    assert state(store) is LetterState.STORED
    assert store.outbox.apply(ANN, BEN, Receipt(LetterState.ACTED, ("l1",)), now=2.0) == ["l1"]


def test_a_receipt_ends_the_tries_and_a_late_mark_does_not_revive_them(store: MailStore) -> None:
    put(store, letter(), at=5.0)
    assert store.outbox.next_due(ANN) == 5.0
    store.outbox.apply(ANN, BEN, Receipt(LetterState.RECEIVED, ("l1",)), now=2.0)
    store.outbox.mark(ANN, [Mark("l1", LetterState.SENT, "late", 1, 9.0)], now=3.0)
    assert store.outbox.next_due(ANN) is None
    assert state(store) is LetterState.RECEIVED


def test_a_receipt_is_believed_over_our_own_guess_that_a_letter_expired(store: MailStore) -> None:
    put(store, letter())
    store.outbox.mark(ANN, [Mark("l1", LetterState.EXPIRED, "late", 1, None)], now=3.0)
    store.outbox.apply(ANN, BEN, Receipt(LetterState.RECEIVED, ("l1",)), now=4.0)
    assert state(store) is LetterState.RECEIVED


def test_a_broadcast_keeps_who_has_it(store: MailStore) -> None:
    put(store, letter(receiver=None))
    store.outbox.apply(ANN, BEN, Receipt(LetterState.READ, ("l1",)), now=2.0)
    store.outbox.apply(ANN, BEN, Receipt(LetterState.RECEIVED, ("l1",)), now=3.0)
    store.outbox.apply(ANN, CAT, Receipt(LetterState.RECEIVED, ("l1",)), now=3.0)
    assert store.outbox.reached(ANN, "l1") == {BEN: LetterState.READ, CAT: LetterState.RECEIVED}


def test_due_letters_come_in_the_order_they_were_written(store: MailStore) -> None:
    put(store, letter("l1"), at=3.0)
    put(store, letter("l2"), at=1.0)
    put(store, letter("l3"), at=9.0)
    assert [each.letter.letter_id for each in store.outbox.due(ANN, now=5.0, limit=9)] == ["l1", "l2"]
    assert store.outbox.due(BEN, now=5.0, limit=9) == []


def test_expiry_comes_no_later_than_it_was_asked_for(store: MailStore) -> None:
    put(store, letter(expires_at=4.0), at=100.0)
    assert store.outbox.next_due(ANN) == 4.0
    assert store.outbox.expired(ANN, now=3.9, limit=9) == []
    assert len(store.outbox.expired(ANN, now=4.0, limit=9)) == 1


def test_who_comes_back_is_written_to_at_once(store: MailStore) -> None:
    put(store, letter("l1"), letter("l2"), letter("l3", receiver=CAT), at=100.0)
    store.outbox.mark(ANN, [Mark("l2", LetterState.SENT, "", 1, 100.0)], now=1.0)
    store.outbox.hurry(ANN, BEN, now=5.0, soon=8.0)
    due = {each.letter.letter_id: each.next_try_at for each in store.outbox.recent(ANN, limit=9)}
    assert due == {"l1": 5.0, "l2": 8.0, "l3": 100.0}


def test_a_restart_tries_at_once_what_was_only_stored(store: MailStore) -> None:
    put(store, letter("l1"), letter("l2"), at=100.0)
    store.outbox.mark(ANN, [Mark("l2", LetterState.SENT, "", 1, 100.0)], now=1.0)
    store.outbox.resume(ANN, now=5.0)
    assert [each.letter.letter_id for each in store.outbox.due(ANN, now=5.0, limit=9)] == ["l1"]


def test_advancing_tells_the_senders_once(store: MailStore) -> None:
    store.inbox.receive(BEN, [letter(), replace(letter(), sender=CAT)], now=1.0)
    assert sorted(store.inbox.advance(BEN, "l1", LetterState.READ, now=2.0)) == [ANN, CAT]
    assert store.inbox.advance(BEN, "l1", LetterState.HANDED, now=2.0) == []
    assert store.inbox.advance(BEN, "unknown", LetterState.READ, now=2.0) == []


def test_calls_together_are_all_or_none(store: MailStore) -> None:
    def half() -> None:
        with store.together():
            put(store, letter())
            with store.together():
                put(store, letter("l2"))
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert store.outbox.recent(ANN, limit=9) == []
    with store.together():
        put(store, letter())
        with pytest.raises(KeyError), store.together():
            raise KeyError
    assert len(store.outbox.recent(ANN, limit=9)) == 1


def test_two_processes_and_many_threads_write_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite"
    with MailStore(path) as one, MailStore(path) as two:

        def write(store: MailStore, name: str) -> None:
            for number in range(50):
                put(store, letter(f"{name}-{number}"))

        threads = [
            threading.Thread(target=write, args=(store, f"{n}-{m}"))
            for n, store in enumerate((one, two))
            for m in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(one.outbox.recent(ANN, limit=999)) == 200


def test_only_what_ended_is_pruned(store: MailStore) -> None:
    put(store, letter("open"), letter("ended"))
    store.outbox.apply(ANN, BEN, Receipt(LetterState.RECEIVED, ("ended",)), now=2.0)
    first, second = store.inbox.receive(BEN, [letter("waits"), letter("done")], now=2.0)
    store.inbox.handle(BEN, [second.row])
    running, over = task("running"), replace(task("over"), state=DelegatedState.FAILED)
    for each in (running, over):
        store.tasks.save(ANN, Side.REQUESTER, each)
    store.prune(before=10.0)
    assert [each.letter.letter_id for each in store.outbox.recent(ANN, limit=9)] == ["open"]
    assert [each.row for each in store.inbox.recent(BEN, limit=9)] == [first.row, second.row]
    assert store.tasks.recent(ANN, Side.REQUESTER, limit=9) == [running]
    # A row is never given out twice, or a reader would miss what it stands for.
    assert store.inbox.receive(BEN, [letter("new")], now=2.0)[0].row > second.row


def task(task_id: str = "t1") -> DelegatedTask:
    return DelegatedTask(
        task_id, ANN, "review", "text", BEN, 2, DelegatedState.IN_PROGRESS, "r", "w", 1.0, 2.0, 3.0
    )


def test_a_task_comes_back_as_it_went_in_and_each_side_has_its_own(store: MailStore) -> None:
    store.tasks.save(ANN, Side.REQUESTER, task())
    store.tasks.save(ANN, Side.ASSIGNEE, replace(task(), assignee=None, state=DelegatedState.COMPLETED))
    assert store.tasks.find(ANN, Side.REQUESTER, "t1") == task()
    assert store.tasks.open(ANN, Side.REQUESTER) == [task()]
    assert store.tasks.open(ANN, Side.ASSIGNEE) == []
    assert store.tasks.find(BEN, Side.REQUESTER, "t1") is None


def test_what_was_said_of_a_task_is_kept_in_order(store: MailStore) -> None:
    said = [Said("t1", float(n), BEN, n, "completed", accepted=bool(n % 2), why="w") for n in range(3)]
    for each in said:
        store.tasks.log(ANN, each)
    assert store.tasks.history(ANN, "t1") == said
    assert store.tasks.history(BEN, "t1") == []


def test_a_file_that_is_no_mail_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite"
    path.write_text("x" * 10_000)
    with pytest.raises(JournalError, match="mail file"):
        MailStore(path)


def test_a_newer_format_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(JournalError, match="format 99"):
        MailStore(path)
