"""The mail file: its tables, and transactions that may hold several calls."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from agentorchestr.errors import JournalError
from agentorchestr.model.mail import Address, Letter, LetterKind, LetterState

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 10.0

LETTER_COLUMNS = (
    "letter_id, sender, receiver, subject, body, kind, content_type, priority, reply_to, thread, answers,"
    " created_at, expires_at"
)
_LETTER_TABLE = """
    letter_id TEXT NOT NULL, sender TEXT NOT NULL, receiver TEXT NOT NULL, subject TEXT NOT NULL,
    body TEXT NOT NULL, kind TEXT NOT NULL, content_type TEXT NOT NULL, priority TEXT NOT NULL,
    reply_to TEXT NOT NULL, thread TEXT NOT NULL, answers TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, state INTEGER NOT NULL, updated_at REAL NOT NULL
"""
SCHEMA = f"""
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY, {_LETTER_TABLE},
    why TEXT NOT NULL DEFAULT '', tries INTEGER NOT NULL DEFAULT 0, next_try_at REAL,
    UNIQUE (sender, letter_id)
);
CREATE INDEX outbox_due ON outbox (sender, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE TABLE reached (
    sender TEXT NOT NULL, letter_id TEXT NOT NULL, who TEXT NOT NULL, state INTEGER NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (sender, letter_id, who)
) WITHOUT ROWID;
CREATE TABLE inbox (
    row INTEGER PRIMARY KEY, {_LETTER_TABLE},
    owner TEXT NOT NULL, verified INTEGER NOT NULL, handled INTEGER NOT NULL DEFAULT 0,
    UNIQUE (owner, letter_id, sender)
);
CREATE INDEX inbox_new ON inbox (owner, row) WHERE handled = 0;
CREATE TABLE delegated (
    owner TEXT NOT NULL, side TEXT NOT NULL, task_id TEXT NOT NULL, requester TEXT NOT NULL,
    capability TEXT NOT NULL, text TEXT NOT NULL, assignee TEXT NOT NULL, attempt INTEGER NOT NULL,
    state TEXT NOT NULL, result TEXT NOT NULL, why TEXT NOT NULL,
    created_at REAL NOT NULL, expires_at REAL NOT NULL, updated_at REAL NOT NULL,
    PRIMARY KEY (owner, side, task_id)
) WITHOUT ROWID;
CREATE TABLE task_log (
    row INTEGER PRIMARY KEY, owner TEXT NOT NULL, task_id TEXT NOT NULL, at REAL NOT NULL,
    who TEXT NOT NULL, attempt INTEGER NOT NULL, said TEXT NOT NULL, accepted INTEGER NOT NULL,
    why TEXT NOT NULL
);
CREATE INDEX task_log_of ON task_log (owner, task_id);
"""

STATES = tuple(LetterState)
"""A state is stored as its place here, so that SQL can tell the later of two."""
RANK = {state: place for place, state in enumerate(STATES)}


class MailBusy(JournalError):
    """Another process writes at this moment."""


class MailDb:
    """The connection all tables share. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._is_open = False
        self._waits = True
        with self._explained():
            self._db = _open(path)

    @contextmanager
    def together(self, *, wait: bool = True) -> Iterator[None]:
        """Make everything inside one transaction, all or none; calls inside calls join it.

        Without *wait* it does not wait for other processes: ``MailBusy``, and nothing was done.
        """
        with self._lock:
            if self._is_open:
                yield
                return
            with self._explained():
                self._begin(wait=wait)
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    # A full disk has rolled back already.
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
                finally:
                    self._is_open = False

    def _begin(self, *, wait: bool) -> None:
        if wait != self._waits:
            self._db.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000) if wait else 0}")
            self._waits = wait
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            if wait or exc.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise MailBusy(f"another process writes to {self.path}") from exc
        self._is_open = True

    def checkpoint_apart(self) -> Callable[[], None]:
        """From now on move the log into the file only in the call returned, which may take its time.

        That call has a connection of its own, so nobody waits for it.
        """
        with self._lock, self._explained():
            self._db.execute("PRAGMA wal_autocheckpoint=0")
        return self._checkpoint

    def _checkpoint(self) -> None:
        with self._explained(), closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)) as apart:
            apart.execute("PRAGMA synchronous=NORMAL")
            apart.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def change(self, sql: str, values: Sequence[object] | dict[str, object] = ()) -> int:
        """Run one writing statement; how many rows it touched."""
        return self._db.execute(sql, values).rowcount

    def change_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one writing statement for each of *rows*."""
        self._db.executemany(sql, rows)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What a reading statement finds."""
        with self._lock, self._explained():
            return self._db.execute(sql, values).fetchall()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise JournalError(
                f"the mail file {self.path} failed: {exc}", hint="check the disk and its free space"
            ) from exc


def _open(path: Path) -> sqlite3.Connection:
    # The mode is right from the first byte; SQLite gives it to its -wal and -shm files too.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S)
    try:
        # A commit writes whole pages, and most letters are small.
        db.execute("PRAGMA page_size=2048")
        db.execute("PRAGMA journal_mode=WAL")
        # NORMAL: a commit outlives any process that is killed. A power cut may take the last moments with it.
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("BEGIN IMMEDIATE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    if version > SCHEMA_VERSION:
        db.close()
        raise JournalError(
            f"{path} has format {version}, this agentorchestr reads {SCHEMA_VERSION}",
            hint="update agentorchestr",
        )
    return db


def letter_values(letter: Letter) -> tuple[object, ...]:
    """The values of ``LETTER_COLUMNS``."""
    return (
        letter.letter_id,
        str(letter.sender),
        str(letter.receiver or ""),
        letter.subject,
        letter.body,
        letter.kind.value,
        letter.content_type,
        letter.priority,
        str(letter.reply_to or ""),
        letter.thread,
        letter.answers,
        letter.created_at,
        letter.expires_at,
    )


def letter_of(values: Sequence[Any], *, verified: bool = False) -> Letter:
    """The letter that ``LETTER_COLUMNS`` hold."""
    letter_id, sender, receiver, subject, body, kind, content_type, priority, reply_to, *rest = values
    thread, answers, created_at, expires_at = rest
    return Letter(
        letter_id=letter_id,
        sender=Address.parse(sender),
        receiver=Address.parse(receiver) if receiver else None,
        body=body,
        subject=subject,
        kind=LetterKind(kind),
        content_type=content_type,
        priority=priority,
        reply_to=Address.parse(reply_to) if reply_to else None,
        thread=thread,
        answers=answers,
        created_at=created_at,
        expires_at=expires_at,
        verified=verified,
    )
