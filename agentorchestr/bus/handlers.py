"""Handlers to combine: an archive, a count of what came, and several after one another."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from agentorchestr.bus.names import short_name
from agentorchestr.bus.serving import Answer, Handler, call
from agentorchestr.journal.archive import LetterArchive
from agentorchestr.model.mail import Letter


class Archive:
    """Keeps every letter in an SQLite table ``messages``; callable, for ``Bus.serve``."""

    def __init__(self, path: Path) -> None:
        self._archive = LetterArchive(path)
        self._lock = Lock()

    def __call__(self, letter: Letter) -> None:
        """Store *letter*. Raises ``JournalError``."""
        self.add([letter])

    def add(self, letters: Sequence[Letter], *, direction: str = "in") -> int:
        """Store many at once; how many were new."""
        with self._lock:
            return self._archive.add(letters, direction=direction)

    def close(self) -> None:
        """Let go of the file."""
        self._archive.close()


@dataclass
class Statistics:
    """Counts letters; callable, for ``Bus.serve``."""

    total: int = 0
    body_bytes: int = 0
    by_sender: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    first_at: float = 0.0
    last_at: float = 0.0

    def __call__(self, letter: Letter) -> None:
        """Count *letter*."""
        now = time.time()
        self.total += 1
        self.body_bytes += len(letter.body.encode())
        self.by_sender[short_name(letter.sender)] += 1
        self.by_kind[letter.kind.value] += 1
        self.first_at = self.first_at or now
        self.last_at = now


class Chain:
    """Calls handlers in order; the answer is the first text one of them gives. A failure ends the chain."""

    def __init__(self, *handlers: Handler) -> None:
        self._handlers = handlers

    async def __call__(self, letter: Letter) -> Answer:
        """Hand *letter* to each."""
        answer: Answer = None
        for handler in self._handlers:
            said = await call(handler, letter)
            answer = said if answer is None else answer
        return answer
