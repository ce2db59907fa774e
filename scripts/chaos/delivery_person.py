"""A person at a terminal that shows the session: types into agents' panes, sometimes sends, and watches."""

import os
import pty
import random
import struct
import subprocess
import termios
import threading
import time
from dataclasses import dataclass, field
from fcntl import ioctl

from agentorchestr.agents.screens import ScreenState, classify, composer_text
from agentorchestr.clock import SYSTEM_CLOCK, until
from agentorchestr.errors import TmuxError
from agentorchestr.model.view import WorkerView
from agentorchestr.supervisor.composer import plain
from agentorchestr.tmux.looking import look
from scripts.chaos.delivery_session import PRACTICE, ListeningSession

WIDTH, HEIGHT = 200, 50
CLEAR, ENTER = b"\x15", b"\r"
SHOWN_S = 5.0


@dataclass
class Typed:
    """What the person did, and what became of it."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    """Worker and text of each line that was sent with Enter."""
    dropped: int = 0
    destroyed: list[str] = field(default_factory=list)
    """Drafts that were no longer there, or not whole, when the person wanted to go on."""
    beside_ours: int = 0
    """Drafts that stood whole, but behind a line of ours that had come in the same moment."""
    at: list[tuple[float, str]] = field(default_factory=list)
    """When the person came to which worker's pane, or to the one that was shown at first (empty)."""


class Person:
    """Types in a thread of its own until told to stop; one pane at a time."""

    def __init__(self, session: ListeningSession, dice: random.Random) -> None:
        self.typed = Typed()
        self.at_pane = ""
        """The worker whose pane the person is at; nobody else answers or kills it then."""
        self._session = session
        self._dice = dice
        self._over = threading.Event()
        self._keyboard = -1
        self._count = 0

    def sit_down(self) -> None:
        self._keyboard, terminal = pty.openpty()
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
        socket = str(self._session.server.socket)
        self._client = subprocess.Popen(
            ["tmux", "-S", socket, "attach", "-t", f"ao-{self._session.session_id}"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(terminal)
        self._threads = [threading.Thread(target=work) for work in (self._see, self._type)]
        for thread in self._threads:
            thread.start()
        server, name = self._session.server, f"ao-{self._session.session_id}"
        assert until(lambda: server.attached_clients(name) == 1, within_s=20)

    def is_at(self, worker_id: str, when: float) -> bool:
        """Whether the person's terminal showed that worker's pane; until the first move, who knows which."""
        shown = [who for at, who in self.typed.at if at <= when + 1.0]
        return not shown or shown[-1] == worker_id or (len(shown) > 1 and shown[-2] == worker_id)

    def get_up(self) -> None:
        self._over.set()
        self._threads[1].join(60)
        self._client.terminate()
        self._client.wait(10)
        self._threads[0].join(10)
        os.close(self._keyboard)

    def _see(self) -> None:
        """Take what tmux draws, or it would wait for us."""
        try:
            while os.read(self._keyboard, 1 << 16):
                pass
        except OSError:
            return

    def _type(self) -> None:
        while not self._over.wait(self._dice.uniform(0.5, 3.0)):
            listeners = self._session.listeners()
            if listeners:
                worker = self._dice.choice(listeners)
                self.at_pane = worker.worker_id
                try:
                    self._draft(worker)
                except TmuxError:
                    self.typed.dropped += 1  # the pane is gone, and the person with it
                self.at_pane = ""

    def _draft(self, worker: WorkerView) -> None:
        """Write a line, with pauses, look whether it is whole, and send it or take it back."""
        self.typed.at.append((time.time(), worker.worker_id))
        self._session.server.run("select-window", "-t", worker.pane_id)
        self._session.server.run("select-pane", "-t", worker.pane_id)
        if self._composer(worker) != "" or worker.asks:
            return
        self._count += 1
        text = f"from the person, line {self._count}"
        for word in text.split(" "):
            os.write(self._keyboard, word.encode() if word == "from" else f" {word}".encode())
            SYSTEM_CLOCK.rest(self._dice.choice((0.05, 0.1, 0.3)))
        SYSTEM_CLOCK.rest(self._dice.choice((0.0, 1.0, 4.5)))
        whole = until(lambda: (self._composer(worker) or "").endswith(text), within_s=SHOWN_S, every_s=0.1)
        found = self._composer(worker)
        if found is None:
            self.typed.dropped += 1
        elif not whole:
            self.typed.destroyed.append(f"{worker.worker_id}: wanted {text!r}, stands {found!r}")
        elif found != text:
            self.typed.beside_ours += 1
        self._leave(worker, text, sends=whole and self._dice.random() < 0.5)

    def _leave(self, worker: WorkerView, text: str, *, sends: bool) -> None:
        os.write(self._keyboard, ENTER if sends else CLEAR)
        until(lambda: self._composer(worker) != text, within_s=SHOWN_S, every_s=0.05)
        if sends:
            self.typed.sent.append((worker.worker_id, text))
        else:
            self.typed.dropped += 1

    def _composer(self, worker: WorkerView) -> str | None:
        """What stands in the composer; None when the pane is dead or asks something."""
        seen = look(self._session.server, worker.pane_id)
        asks = classify(PRACTICE, plain(seen.screen)) is ScreenState.ASKS
        return None if seen.dead or asks else composer_text(PRACTICE, seen.screen)
