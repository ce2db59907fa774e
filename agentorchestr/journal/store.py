"""The journal: one SQLite file per session, append-only, written by one supervisor generation at a time."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from agentorchestr.errors import JournalError, StaleGeneration
from agentorchestr.journal.encoding import decode, encode
from agentorchestr.model.facts import Fact, Recorded

FILE_NAME = "journal.sqlite"
SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 5000

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 0);
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TRIGGER facts_stay BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
CREATE TRIGGER facts_last BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never removed'); END;
"""


class Journal:
    """One session's record. Safe to use from several threads; each call is one transaction.

    A writer holds a *generation*: ``take_over`` raises it, and from then on every older writer is refused.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, generation: int) -> None:
        self._db = connection
        self._path = path
        self._lock = threading.Lock()
        self.generation = generation

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make the journal of a new session in *folder* (which exists and is private)."""
        path = folder / FILE_NAME
        # O_EXCL: two sessions never share a journal, and the mode is right from the first byte.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        db = _connect(path)
        with _explained(path):
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        return cls(db, path, 0)

    @classmethod
    def open_read(cls, folder: Path) -> Self:
        """Open an existing journal to read it; its own ``append`` is refused.

        Raises ``JournalError`` when it is missing, damaged, or of a newer version.
        """
        return cls(_open_existing(folder), folder / FILE_NAME, -1)

    @classmethod
    def take_over(cls, folder: Path) -> Self:
        """Open an existing journal as its new and only writer: the generation goes up by one."""
        path = folder / FILE_NAME
        db = _open_existing(folder)
        with _explained(path):
            db.execute("BEGIN IMMEDIATE")
            db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            (generation,) = db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
            db.execute("COMMIT")
        return cls(db, path, generation)

    def append(self, facts: Sequence[Fact], *, at: float | None = None) -> list[Recorded]:
        """Store *facts* in order, all or none, on disk when this returns.

        Raises ``StaleGeneration`` when a newer supervisor took over, ``JournalError`` when the disk refuses.
        """
        moment = time.time() if at is None else at
        with self._lock, _explained(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                recorded = self._insert(facts, moment)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return recorded

    def _insert(self, facts: Sequence[Fact], moment: float) -> list[Recorded]:
        (current,) = self._db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
        if current != self.generation:
            raise StaleGeneration(
                f"a newer supervisor (generation {current}) owns this session; this one is {self.generation}"
            )
        recorded = []
        for fact in facts:
            kind, body = encode(fact)
            row = self._db.execute(
                "INSERT INTO facts (at, generation, kind, body) VALUES (?, ?, ?, ?)",
                (moment, self.generation, kind, body),
            )
            # As it was stored: the view must not hold what a later reader will not find.
            recorded.append(Recorded(row.lastrowid or 0, moment, self.generation, decode(kind, body)))
        return recorded

    def facts(self, *, after: int = 0, limit: int = -1) -> list[Recorded]:
        """Facts with a sequence number above *after*, oldest first; a negative *limit* means all."""
        with self._lock, _explained(self._path):
            rows: Iterable[tuple[int, float, int, str, str]] = self._db.execute(
                "SELECT seq, at, generation, kind, body FROM facts WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, limit),
            ).fetchall()
        return [Recorded(seq, at, generation, decode(kind, body)) for seq, at, generation, kind, body in rows]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(path: Path) -> sqlite3.Connection:
    # Autocommit: every transaction in this file is written out, none begins by itself.
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)
    # FULL: an intent must be on disk before its effect begins.
    db.execute("PRAGMA synchronous=FULL")
    return db


def _open_existing(folder: Path) -> sqlite3.Connection:
    path = folder / FILE_NAME
    if not path.is_file():
        raise JournalError(f"there is no journal at {path}", hint="agentorchestr --list-sessions")
    with _explained(path):
        db = _connect(path)
        (version,) = db.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        db.close()
        raise JournalError(
            f"{path} has format {version}, this agentorchestr reads {SCHEMA_VERSION}",
            hint="update agentorchestr" if version > SCHEMA_VERSION else "",
        )
    return db


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours; a full or torn disk is said, never guessed round."""
    try:
        yield
    except sqlite3.Error as exc:
        raise JournalError(
            f"the journal {path} failed: {exc}", hint="check the disk and its free space"
        ) from exc
