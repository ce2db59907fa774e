"""The mail store: one SQLite file of letters out, letters in and delegated tasks, for one or more agents."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from agentorchestr.journal.mailbox_db import MailDb
from agentorchestr.journal.mailbox_inbox import Inbox
from agentorchestr.journal.mailbox_outbox import SENT, Outbox
from agentorchestr.journal.mailbox_tasks import TaskRows

FILE_NAME = "mail.sqlite"


class MailStore:
    """What an agent sent, got and delegated. Safe to use from several threads and processes.

    Each call is one transaction; a commit outlives any process that is killed. Blocking: from
    coroutines it goes through ``swarm.lane``.

    Raises ``JournalError`` when the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        """Open *path*, or make it (mode 0600); its folder exists and is private."""
        self._db = MailDb(path)
        self.path = path
        self.outbox = Outbox(self._db)
        self.inbox = Inbox(self._db)
        self.tasks = TaskRows(self._db)

    def together(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """Make all calls inside one transaction.

        Without *wait* it does not wait for other processes: ``MailBusy``, and nothing was done.
        """
        return self._db.together(wait=wait)

    def checkpoint_apart(self) -> Callable[[], None]:
        """From now on commits never wait for the disk; the call returned must be made now and then."""
        return self._db.checkpoint_apart()

    def prune(self, *, before: float) -> None:
        """Remove what has come to its end and was not touched since *before*.

        A letter still on its way or not handled yet stays, however old.
        """
        moment = (before,)
        with self._db.together():
            self._db.change(
                f"DELETE FROM outbox WHERE updated_at < ? AND (next_try_at IS NULL AND state >= {SENT})",  # noqa: S608 - a number
                moment,
            )
            self._db.change("DELETE FROM reached WHERE at < ?", moment)
            # The last row stays, so that its number is never given out again: readers go on from theirs.
            self._db.change(
                "DELETE FROM inbox WHERE updated_at < ? AND handled = 1"
                " AND row < (SELECT max(row) FROM inbox)",
                moment,
            )
            self._db.change(
                "DELETE FROM delegated WHERE updated_at < ? AND state NOT IN ('pending', 'in_progress')",
                moment,
            )
            self._db.change("DELETE FROM task_log WHERE at < ?", moment)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
