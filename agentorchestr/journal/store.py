"""The journal: one SQLite file per session, append-only, written by one supervisor generation at a time."""

import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from agentorchestr.errors import JournalError, StaleGeneration
from agentorchestr.journal.encoding import decode, encode
from agentorchestr.model.facts import Fact, Recorded

FILE_NAME = "journal.sqlite"
SCHEMA_VERSION = 2
BUSY_TIMEOUT_MS = 5000
FULL = 2
"""What SQLite calls ``synchronous=FULL`` when it is asked."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('generation', 0);
CREATE TABLE facts (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    sum INTEGER
);
CREATE TRIGGER facts_stay BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
CREATE TRIGGER facts_last BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never removed'); END;
"""
MIGRATIONS = {1: "ALTER TABLE facts ADD COLUMN sum INTEGER"}
"""By version: what makes the next one of it. Its next writer migrates a journal; readers take it as it is."""

Row = tuple[int, float, int, str, str, int | None]


class Journal:
    """One session's record. Safe to use from several threads; each call is one transaction.

    A writer holds a *generation*: ``take_over`` raises it, and from then on every older writer is refused.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, generation: int, *, version: int = SCHEMA_VERSION
    ) -> None:
        self._db = connection
        self._path = path
        self._lock = threading.Lock()
        self._columns = "seq, at, generation, kind, body, " + ("sum" if version > 1 else "NULL")
        self.generation = generation

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make the journal of a new session in *folder* (which exists and is private)."""
        path = folder / FILE_NAME
        # O_EXCL: two sessions never share a journal, and the mode is right from the first byte.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with _explained(path):
            db = _connect(path)
            (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise JournalError(
                    f"the file system at {folder} cannot hold a journal (SQLite answers {mode!r})",
                    hint="set XDG_STATE_HOME to a directory on a local disk",
                )
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        return cls(db, path, 0)

    @classmethod
    def open_read(cls, folder: Path) -> Self:
        """Open an existing journal to read it; its own ``append`` is refused.

        Raises ``JournalError`` when it is missing, damaged, or of a newer version.
        """
        db, version = _open_existing(folder)
        return cls(db, folder / FILE_NAME, -1, version=version)

    @classmethod
    def take_over(cls, folder: Path) -> Self:
        """Open an existing journal as its new and only writer: the generation goes up by one.

        One of an older version is migrated. Raises what ``open_read`` does.
        """
        path = folder / FILE_NAME
        db, _ = _open_existing(folder)
        with _explained(path):
            db.execute("BEGIN IMMEDIATE")
            _migrate(db)
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
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself; a second one would hide why.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        return recorded

    def _insert(self, facts: Sequence[Fact], moment: float) -> list[Recorded]:
        (current,) = self._db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
        if current != self.generation:
            raise StaleGeneration(
                f"a newer supervisor (generation {current}) owns this session; this one is {self.generation}"
            )
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM facts").fetchone()
        recorded = []
        for seq, fact in enumerate(facts, start=last + 1):
            kind, body = encode(fact)
            row = (seq, moment, self.generation, kind, body)
            self._db.execute("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?)", (*row, _sum(row)))
            # As it was stored: the view must not hold what a later reader will not find.
            recorded.append(Recorded(seq, moment, self.generation, decode(kind, body)))
        return recorded

    def facts(self, *, after: int = 0, limit: int = -1) -> list[Recorded]:
        """Facts with a sequence number above *after*, oldest first; a negative *limit* means all.

        Raises ``JournalError`` when one is missing or is not what was stored.
        """
        query = f"SELECT {self._columns} FROM facts WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - our own columns
        with self._lock, _explained(self._path):
            rows: Iterable[Row] = self._db.execute(query, (after, limit)).fetchall()
        return [self._checked(row, place) for place, row in enumerate(rows, start=after + 1)]

    def _checked(self, row: Row, place: int) -> Recorded:
        seq, at, generation, kind, body, stored = row
        if seq != place or (stored is not None and stored != _sum((seq, at, generation, kind, body))):
            raise JournalError(
                f"the journal {self._path} is damaged at fact {place}",
                hint="its branches and snapshots are in the repository; check the disk",
            )
        return Recorded(seq, at, generation, decode(kind, body))

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
    if db.execute("PRAGMA synchronous").fetchone() != (FULL,):
        raise JournalError(f"SQLite does not write {path} through to the disk")
    return db


def _sum(row: tuple[int, float, int, str, str]) -> int:
    """A checksum of one fact: SQLite itself notices only damage to its own structure."""
    return zlib.crc32(repr(row).encode())


def _migrate(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for step in range(version, SCHEMA_VERSION):
        db.execute(MIGRATIONS[step])
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _open_existing(folder: Path) -> tuple[sqlite3.Connection, int]:
    path = folder / FILE_NAME
    if not path.is_file():
        raise JournalError(f"there is no journal at {path}", hint="agentorchestr --list-sessions")
    with _explained(path):
        db = _connect(path)
        (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        db.close()
        raise JournalError(
            f"{path} was written by a newer agentorchestr (format {version}, not {SCHEMA_VERSION})",
            hint="update agentorchestr",
        )
    if version < min(MIGRATIONS):
        db.close()
        raise JournalError(f"{path} is no journal, or lost its beginning", hint="check the disk")
    return db, int(version)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours; a full or torn disk is said, never guessed round."""
    try:
        yield
    except sqlite3.Error as exc:
        raise JournalError(
            f"the journal {path} failed: {exc}", hint="check the disk and its free space"
        ) from exc
