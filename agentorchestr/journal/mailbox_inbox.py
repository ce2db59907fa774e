"""Letters that came in: each once, however often it arrives."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from agentorchestr.journal.mailbox_db import LETTER_COLUMNS, RANK, STATES, MailDb, letter_of, letter_values
from agentorchestr.model.mail import Address, Arrived, Letter, LetterKind, LetterState

_WIDTH = LETTER_COLUMNS.count(",") + 1
_PLACES = ", ".join("?" * _WIDTH)


class Inbox:
    """The rows of letters received. Each call is one transaction, or a part of the one around it."""

    def __init__(self, db: MailDb) -> None:
        self._db = db

    def receive(self, owner: Address, letters: Iterable[Letter], *, now: float) -> list[Arrived]:
        """Store what is new of *letters*, in order, and give that back; a second arrival is none."""
        fresh: list[Arrived] = []
        with self._db.together():
            for letter in letters:
                found = self._db.rows(
                    f"INSERT INTO inbox ({LETTER_COLUMNS}, state, updated_at, owner, verified)"  # noqa: S608 - our own column names
                    f" VALUES ({_PLACES}, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING row",
                    (
                        *letter_values(letter),
                        RANK[LetterState.RECEIVED],
                        now,
                        str(owner),
                        letter.verified,
                    ),
                )
                fresh.extend(Arrived(row, letter) for (row,) in found)
        return fresh

    def waiting(
        self,
        owner: Address,
        *,
        after: int,
        limit: int,
        kinds: Collection[LetterKind] = (),
        but: Collection[LetterKind] = (),
    ) -> list[Arrived]:
        """Letters nobody handled with a row above *after*, oldest first: of *kinds*, or all *but* some."""
        chosen, word = (kinds, "IN") if kinds else (but, "NOT IN")
        marks = ", ".join("?" * len(chosen))
        return self._arrived(
            f"owner = ? AND handled = 0 AND row > ? AND kind {word} ({marks}) ORDER BY row LIMIT ?",
            (str(owner), after, *(kind.value for kind in chosen), limit),
        )

    def handle(self, owner: Address, rows: Iterable[int]) -> None:
        """Note that these were handled: they are not handed out again."""
        with self._db.together():
            self._db.change_many(
                "UPDATE inbox SET handled = 1 WHERE owner = ? AND row = ?",
                [(str(owner), row) for row in rows],
            )

    def advance(self, owner: Address, letter_id: str, state: LetterState, *, now: float) -> list[Address]:
        """Note how far a letter got here; its senders, empty when it was as far already or is unknown."""
        with self._db.together():
            found = self._db.rows(
                "UPDATE inbox SET state = ?, updated_at = ? WHERE owner = ? AND letter_id = ? AND state < ?"
                " RETURNING sender",
                (RANK[state], now, str(owner), letter_id, RANK[state]),
            )
        return [Address.parse(sender) for (sender,) in found]

    def find(self, owner: Address, letter_id: str) -> list[Arrived]:
        """The letters of this id: one, unless two senders chose the same."""
        return self._arrived("owner = ? AND letter_id = ? ORDER BY row", (str(owner), letter_id))

    def in_states(
        self, owner: Address, states: Collection[LetterState], *, limit: int, kinds: Collection[LetterKind]
    ) -> list[Arrived]:
        """Letters of *kinds* that are at one of *states* here, handled or not, oldest first."""
        state_marks, kind_marks = ", ".join("?" * len(states)), ", ".join("?" * len(kinds))
        return self._arrived(
            f"owner = ? AND state IN ({state_marks}) AND kind IN ({kind_marks}) ORDER BY row LIMIT ?",
            (str(owner), *(RANK[state] for state in states), *(kind.value for kind in kinds), limit),
        )

    def answers_to(self, owner: Address, letter_id: str) -> list[Arrived]:
        """What came in answer to a letter of ours, oldest first."""
        return self._arrived(
            "owner = ? AND kind = 'answer' AND answers = ? ORDER BY row", (str(owner), letter_id)
        )

    def last_row(self, owner: Address) -> int:
        """The row of the newest letter; 0 when there is none."""
        [(row,)] = self._db.rows("SELECT max(row) FROM inbox WHERE owner = ?", (str(owner),))
        return int(row or 0)

    def recent(self, owner: Address, *, after: int = 0, limit: int) -> list[Arrived]:
        """All letters with a row above *after*, handled or not, oldest first."""
        return self._arrived("owner = ? AND row > ? ORDER BY row LIMIT ?", (str(owner), after, limit))

    def _arrived(self, where: str, values: Sequence[object]) -> list[Arrived]:
        found = self._db.rows(
            f"SELECT {LETTER_COLUMNS}, row, state, handled, verified FROM inbox WHERE {where}",  # noqa: S608 - our own text
            values,
        )
        return [_arrived(row) for row in found]


def _arrived(values: Sequence[Any]) -> Arrived:
    row, state, handled, verified = values[_WIDTH:]
    return Arrived(
        row, letter_of(values[:_WIDTH], verified=bool(verified)), STATES[state], handled=bool(handled)
    )
