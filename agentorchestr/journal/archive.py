"""Letters kept for good in an SQLite file that other programs may read."""

import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from agentorchestr.errors import JournalError
from agentorchestr.model.mail import Letter

BUSY_TIMEOUT_S = 10.0
TABLE = """
CREATE TABLE IF NOT EXISTS messages (
    id TEXT NOT NULL, from_agent TEXT NOT NULL, to_agent TEXT NOT NULL, direction TEXT NOT NULL,
    ts REAL NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL,
    content_type TEXT NOT NULL, priority TEXT NOT NULL, reply_to TEXT NOT NULL, thread TEXT NOT NULL,
    answers TEXT NOT NULL, verified INTEGER NOT NULL, archived_at REAL NOT NULL,
    PRIMARY KEY (from_agent, id, to_agent)
)
"""


class LetterArchive:
    """One connection, kept open. What is in the table is never changed, whatever comes under its id later."""

    def __init__(self, path: Path) -> None:
        """Open *path*, or make it (mode 0600). Raises ``JournalError``."""
        self.path = path
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(TABLE)
        except (OSError, sqlite3.Error) as exc:
            raise JournalError(f"the archive {path} cannot be opened: {exc}") from exc

    def add(self, letters: Iterable[Letter], *, direction: str) -> int:
        """Store *letters* in one transaction, all or none; how many were new.

        *direction* is ``in`` or ``out``. Raises ``JournalError``.
        """
        now = time.time()
        try:
            before = self._db.total_changes
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (_row(letter, direction, now) for letter in letters),
                )
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as exc:
            raise JournalError(f"the archive {self.path} failed: {exc}") from exc
        return self._db.total_changes - before

    def count(self) -> int:
        """How many letters it holds."""
        try:
            [(found,)] = self._db.execute("SELECT count(*) FROM messages").fetchall()
        except sqlite3.Error as exc:
            raise JournalError(f"the archive {self.path} failed: {exc}") from exc
        return int(found)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _row(letter: Letter, direction: str, now: float) -> tuple[object, ...]:
    return (
        letter.letter_id,
        str(letter.sender),
        str(letter.receiver or "*"),
        direction,
        letter.created_at,
        letter.kind.value,
        letter.subject,
        letter.body,
        letter.content_type,
        letter.priority,
        str(letter.reply_to or ""),
        letter.thread,
        letter.answers,
        letter.verified,
        now,
    )
