"""Where a turn shows itself and asks: what the two faces of the practice agent have in common."""

import signal
import sys
import threading
from typing import Protocol

from agentorchestr.practice.mcp_client import Interrupted
from agentorchestr.practice.view import Mark, plain


class Console(Protocol):
    """The screen of a turn. ``Interrupted`` comes out of every wait."""

    stop: threading.Event
    """Set when the turn under way must end now."""

    def show(self, mark: Mark, text: str) -> None:
        """Add one entry to the log area."""

    def ask(self, question: str) -> bool:
        """Open a permission dialog and wait for its answer."""

    def freeze(self) -> None:
        """Stop drawing and reading for good."""

    def leave(self) -> None:
        """Give the terminal back, for an exit in mid-turn."""

    def ignore_signals(self, *, hangup: bool) -> None:
        """Ignore SIGTERM from now on, and with *hangup* the loss of the terminal too."""


def pause(console: Console, seconds: float) -> None:
    """Let *seconds* pass. Raises ``Interrupted``."""
    if console.stop.wait(seconds):
        raise Interrupted("interrupted")


class PlainConsole:
    """Plain lines on standard output, for sessions without tmux."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def show(self, mark: Mark, text: str) -> None:
        """Print one line."""
        sys.stdout.write(f"{mark} {plain(text)}\n")
        sys.stdout.flush()

    def ask(self, question: str) -> bool:
        """Refuse: nobody can answer without a terminal."""
        self.show(Mark.SAYS, f"{question} (no terminal to ask on: refused)")
        return False

    def freeze(self) -> None:
        """Block this thread, the only one."""
        threading.Event().wait()

    def leave(self) -> None:
        """Nothing was taken."""

    def ignore_signals(self, *, hangup: bool) -> None:
        """Ignore SIGTERM; the turn runs in the main thread here."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if hangup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
