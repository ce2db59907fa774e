"""Letters of ours on their way: each stays until the receiver's own receipt, or its end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentorchestr.journal.mailbox_db import LETTER_COLUMNS, RANK, STATES, MailDb, letter_of, letter_values
from agentorchestr.model.mail import Address, Letter, LetterState, Standing

_WIDTH = LETTER_COLUMNS.count(",") + 1
_PLACES = ", ".join("?" * _WIDTH)
SENT, EXPIRED = RANK[LetterState.SENT], RANK[LetterState.EXPIRED]


@dataclass(frozen=True)
class Mark:
    """What one try to send came to. *next_try_at* None: it is not tried again."""

    letter_id: str
    state: LetterState
    why: str
    tries: int
    next_try_at: float | None


@dataclass(frozen=True)
class Receipt:
    """What a receiver says of letters it got: how far they are there."""

    state: LetterState
    letter_ids: tuple[str, ...]
    why: str = ""


class Outbox:
    """The rows of letters sent. Each call is one transaction, or a part of the one around it."""

    def __init__(self, db: MailDb) -> None:
        self._db = db

    def put(self, letters: Iterable[Letter], *, next_try_at: float, now: float) -> None:
        """Store *letters* to be sent; one whose id is known already changes nothing."""
        with self._db.together():
            self._db.change_many(
                f"INSERT OR IGNORE INTO outbox ({LETTER_COLUMNS}, state, updated_at, next_try_at)"  # noqa: S608 - our own column names
                f" VALUES ({_PLACES}, 0, ?, ?)",
                [(*letter_values(letter), now, _capped(next_try_at, letter)) for letter in letters],
            )

    def mentions(self, sender: Address, receiver: Address, word: str) -> bool:
        """Whether a letter to *receiver*, or to everybody, holds *word*."""
        found = self._db.rows(
            "SELECT 1 FROM outbox WHERE sender = ? AND receiver IN (?, '') AND instr(body, ?) > 0 LIMIT 1",
            (str(sender), str(receiver), word),
        )
        return bool(found)

    def mark(self, sender: Address, marks: Iterable[Mark], *, now: float) -> None:
        """Store what tries came to. A letter whose receipt is here already is left as it is."""
        with self._db.together():
            self._db.change_many(
                "UPDATE outbox SET state = max(state, ?), why = ?, tries = ?, next_try_at = ?, updated_at = ?"
                " WHERE sender = ? AND letter_id = ? AND state <= ?",
                [
                    (RANK[m.state], m.why, m.tries, m.next_try_at, now, str(sender), m.letter_id, SENT)
                    for m in marks
                ],
            )

    def apply(self, sender: Address, who: Address, receipt: Receipt, *, now: float) -> list[str]:
        """Note *who*'s receipt; the ids it moved. From anybody but the letter's receiver it moves nothing."""
        rank, moved = RANK[receipt.state], []
        # What the receiver has is the truth: it also undoes our own guess that a letter expired.
        below, or_at = (SENT + 1, -1) if rank >= EXPIRED else (rank, EXPIRED)
        with self._db.together():
            for letter_id in receipt.letter_ids:
                if self._db.change(
                    "UPDATE outbox SET state = ?, why = ?, next_try_at = NULL, updated_at = ?"
                    " WHERE sender = ? AND letter_id = ? AND receiver = ? AND (state < ? OR state = ?)",
                    (rank, receipt.why, now, str(sender), letter_id, str(who), below, or_at),
                ):
                    moved.append(letter_id)
                else:
                    self._reach(sender, who, letter_id, rank=rank, now=now)
        return moved

    def _reach(self, sender: Address, who: Address, letter_id: str, *, rank: int, now: float) -> None:
        self._db.change(
            "INSERT INTO reached SELECT sender, letter_id, ?, ?, ? FROM outbox"
            " WHERE sender = ? AND letter_id = ? AND receiver = ''"
            " ON CONFLICT DO UPDATE SET state = max(state, excluded.state), at = excluded.at",
            (str(who), rank, now, str(sender), letter_id),
        )

    def reached(self, sender: Address, letter_id: str) -> dict[Address, LetterState]:
        """Whom a broadcast reached, by their own receipts."""
        found = self._db.rows(
            "SELECT who, state FROM reached WHERE sender = ? AND letter_id = ? ORDER BY who",
            (str(sender), letter_id),
        )
        return {Address.parse(who): STATES[state] for who, state in found}

    def due(self, sender: Address, *, now: float, limit: int) -> list[Standing]:
        """Letters whose next try, or expiry, has come, in the order they were written."""
        return self._standings(
            "sender = ? AND next_try_at <= ? ORDER BY row LIMIT ?", (str(sender), now, limit)
        )

    def never_sent(self, sender: Address, *, now: float, limit: int) -> list[Letter]:
        """Letters that no carrier took yet and whose time is not over, in the order they were written."""
        standings = self._standings(
            "sender = ? AND next_try_at <= ? AND state = 0 AND (expires_at = 0 OR expires_at > ?)"
            " ORDER BY row LIMIT ?",
            (str(sender), now, now, limit),
        )
        return [standing.letter for standing in standings]

    def expired(self, sender: Address, *, now: float, limit: int) -> list[Standing]:
        """Letters that are still on their way after their time."""
        return self._standings(
            "sender = ? AND next_try_at IS NOT NULL AND expires_at > 0 AND expires_at <= ?"
            " ORDER BY row LIMIT ?",
            (str(sender), now, limit),
        )

    def resume(self, sender: Address, *, now: float) -> None:
        """Make due what an earlier process had stored and perhaps not sent."""
        with self._db.together():
            self._db.change(
                "UPDATE outbox SET next_try_at = ? WHERE sender = ? AND state = 0 AND next_try_at > ?",
                (now, str(sender), now),
            )

    def next_due(self, sender: Address) -> float | None:
        """When the next try is due."""
        [(moment,)] = self._db.rows(
            "SELECT min(next_try_at) FROM outbox WHERE sender = ? AND next_try_at IS NOT NULL", (str(sender),)
        )
        return None if moment is None else float(moment)

    def hurry(self, sender: Address, receiver: Address, *, now: float, soon: float) -> int:
        """*receiver* is back: make due now what was never taken, and *soon* what only lacks a receipt."""
        with self._db.together():
            return self._db.change(
                "UPDATE outbox SET next_try_at = min(next_try_at, iif(state = 0, ?, ?))"
                " WHERE sender = ? AND receiver = ? AND next_try_at > ?",
                (now, soon, str(sender), str(receiver), now),
            )

    def find(self, sender: Address, letter_id: str) -> Standing | None:
        """How far one letter got."""
        found = self._standings("sender = ? AND letter_id = ?", (str(sender), letter_id))
        return found[0] if found else None

    def recent(self, sender: Address, *, limit: int) -> list[Standing]:
        """The last letters sent, newest first."""
        return self._standings("sender = ? ORDER BY row DESC LIMIT ?", (str(sender), limit))

    def _standings(self, where: str, values: Sequence[object]) -> list[Standing]:
        found = self._db.rows(
            f"SELECT {LETTER_COLUMNS}, state, why, tries, next_try_at, updated_at FROM outbox WHERE {where}",  # noqa: S608 - our own text
            values,
        )
        return [_standing(row) for row in found]


def _capped(next_try_at: float, letter: Letter) -> float:
    return min(next_try_at, letter.expires_at) if letter.expires_at else next_try_at


def _standing(row: Sequence[Any]) -> Standing:
    state, why, tries, next_try_at, updated_at = row[_WIDTH:]
    return Standing(letter_of(row[:_WIDTH]), STATES[state], why, tries, next_try_at or 0.0, updated_at)
