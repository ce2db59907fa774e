"""Read an agent's mail file from a command: new letters once, any of them again, or as they come."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.bus.home import Home
from agentorchestr.bus.names import ID_HINT
from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox import MailStore
from agentorchestr.journal.mailbox_outbox import Receipt
from agentorchestr.model.mail import ID, Address, Arrived, Letter, LetterKind, LetterState
from agentorchestr.model.swarmbus import is_neighbour
from agentorchestr.paths import ensure_private, write_private

UNREAD = (LetterState.RECEIVED, LetterState.HANDED, LetterState.TURN_STARTED)
SHOWN = (LetterKind.NOTE, LetterKind.ASK, LetterKind.ANSWER)
PAGE = 200


def unread(store: MailStore, me: Address, *, limit: int = PAGE) -> list[Arrived]:
    """Letters nobody read yet, oldest first."""
    return store.inbox.in_states(me, UNREAD, limit=limit, kinds=SHOWN)


def take_unread(store: MailStore, me: Address, *, limit: int = PAGE) -> list[Letter]:
    """Read the letters nobody read yet, each once: in one transaction. Their senders are told."""
    with store.together():
        letters = [arrived.letter for arrived in unread(store, me, limit=limit)]
        advance(store, me, [letter.letter_id for letter in letters], LetterState.READ)
    return letters


def advance(store: MailStore, me: Address, letter_ids: Sequence[str], state: LetterState) -> None:
    """Note how far letters got here, and store what tells their senders."""
    from agentorchestr.swarm.receipts import receipt_letter

    now = time.time()
    with store.together():
        for letter_id in letter_ids:
            told = [
                receipt_letter(me, sender, Receipt(state, (letter_id,)), now=now)
                for sender in store.inbox.advance(me, letter_id, state, now=now)
                if not is_neighbour(sender)
            ]
            store.outbox.put(told, next_try_at=now, now=now)


@dataclass(frozen=True)
class Cursor:
    """How far one consumer has come through all letters, kept on disk."""

    file: Path

    @property
    def row(self) -> int:
        """The row of the last letter that was shown; 0 before the first."""
        try:
            return int(self.file.read_text())
        except (OSError, ValueError):
            return 0

    def move(self, row: int) -> None:
        """Remember *row*."""
        ensure_private(self.file.parent)
        write_private(self.file, str(row))


def cursor_of(home: Home, consumer: str) -> Cursor:
    """The cursor of *consumer*. Raises ``UsageError`` for a name that is none."""
    if ID.fullmatch(consumer) is None or consumer in {os.curdir, os.pardir}:
        raise UsageError(f"not the name of a consumer: {consumer!r}", hint=ID_HINT)
    return Cursor(home.folder / "cursors" / consumer)


def after(store: MailStore, me: Address, row: int) -> Iterator[Arrived]:
    """All letters with a row above *row*, handled or not, oldest first."""
    while page := store.inbox.recent(me, after=row, limit=PAGE):
        yield from (arrived for arrived in page if arrived.letter.kind in SHOWN)
        row = page[-1].row
