"""The TUI: raw mode, one frame per change, keys in, signals in; the turn runs in another thread."""

import contextlib
import os
import queue
import select
import signal
import termios
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from agentorchestr.practice.keys import Key, KeyReader, Press
from agentorchestr.practice.mcp_client import Interrupted
from agentorchestr.practice.view import SPINNER, LogLine, Mark, View, draw

ENTER_SCREEN = b"\x1b[?1049h\x1b[?2004h\x1b[2J"
LEAVE_SCREEN = b"\x1b[?2004l\x1b[?1049l\x1b[?25h"
FRAME_S = 0.12
ESCAPE_S = 0.03
TWICE_S = 2.0
LOG_LINES = 2000
LAST_LINES = 10
READY = "ready · Enter sends · Esc interrupts · /exit ends"


@dataclass
class _Question:
    text: str
    answered: threading.Event = field(default_factory=threading.Event)
    allowed: bool = False


class Terminal:
    """The screen and keyboard of one practice agent; a ``Console`` for its turns.

    ``run`` belongs to the main thread; ``show``, ``ask`` and ``freeze`` may be called from the turn's.
    """

    def __init__(self, header: str, *, stdin: int = 0, stdout: int = 1) -> None:
        self.stop = threading.Event()
        self.prompts: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.on_interrupt: Callable[[], None] = lambda: None
        self.fault = ""
        self._header, self._stdin, self._stdout = header, stdin, stdout
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._composer = ""
        self._hint = READY
        self._working_since: float | None = None
        self._question: _Question | None = None
        self._exit_code: int | None = None
        self._last_interrupt = 0.0
        self._frozen = False
        self._ignored: set[signal.Signals] = set()
        self._before: list[int | list[bytes | int]] | None = None
        self._reader = KeyReader()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def show(self, mark: Mark, text: str) -> None:
        """Add one entry to the log area."""
        self._log.append(LogLine(mark, text))
        self._poke()

    def working(self, yes: bool, *, hint: str = READY) -> None:  # noqa: FBT001 -- a switch, named by its verb
        """Start or stop the spinner; *hint* stands in its place when it stops."""
        self._working_since = time.monotonic() if yes else None
        self._hint = hint
        self._poke()

    def ask(self, question: str) -> bool:
        """Open a permission dialog. Raises ``Interrupted``."""
        self.show(Mark.SAYS, f"{question}  1. Yes  2. No")
        asked = self._question = _Question(question)
        self._poke()
        try:
            while not asked.answered.wait(0.05):
                if self.stop.is_set():
                    raise Interrupted("interrupted")
        finally:
            self._question = None
            self._poke()
        return asked.allowed

    def freeze(self) -> None:
        """Stop drawing and reading for good; only a signal ends the process."""
        self._frozen = True
        self._poke()
        threading.Event().wait()

    def end(self, exit_code: int) -> None:
        """Leave ``run`` with *exit_code*."""
        self._exit_code = exit_code
        self._poke()

    def run(self) -> int:
        """Draw and read until the end; the terminal is as before afterwards, whatever happens."""
        before = self._before = termios.tcgetattr(self._stdin)
        handlers = self._take_signals()
        try:
            # Without a flush: what was typed while we started is kept.
            tty.setraw(self._stdin, termios.TCSANOW)
            self._write(ENTER_SCREEN)
            return self._loop()
        finally:
            self._restore(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def leave(self) -> None:
        """Give the terminal back, for an exit that skips ``run``'s end."""
        if self._before is not None:
            self._restore(self._before)

    def ignore_signals(self, *, hangup: bool) -> None:
        """Ignore SIGTERM from now on, and with *hangup* the loss of the terminal too."""
        self._ignored = {signal.SIGTERM, signal.SIGHUP} if hangup else {signal.SIGTERM}

    def _loop(self) -> int:
        watched = [self._stdin, self._wake_read]
        while self._exit_code is None:
            if self._frozen:
                signal.pause()
                continue
            self._draw()
            ready, _, _ = select.select(watched, [], [], self._wait_s())
            if not ready:
                self._press_all(self._reader.settle())
            if self._wake_read in ready:
                _drain(self._wake_read)
            if self._stdin in ready and not self._read_keys():
                watched.remove(self._stdin)
        return self._exit_code

    def _wait_s(self) -> float | None:
        if self._reader.pending:
            return ESCAPE_S
        return FRAME_S if self._working_since is not None else None

    def _read_keys(self) -> bool:
        try:
            chunk = os.read(self._stdin, 65536)
        except OSError:
            chunk = b""
        if not chunk:
            # The terminal is gone. An agent that ignores a hang-up lives on without one.
            if signal.SIGHUP not in self._ignored:
                self._exit_code = 0
            return False
        self._press_all(self._reader.feed(chunk))
        return True

    def _press_all(self, presses: list[Press]) -> None:
        for press in presses:
            self._press(press)

    def _press(self, press: Press) -> None:
        match press.key:
            case Key.TEXT:
                self._composer += press.text
            case Key.BACKSPACE:
                self._composer = self._composer[:-1]
            case Key.CLEAR:
                self._composer = ""
            case Key.ENTER:
                self._enter()
            case Key.ESCAPE:
                self._interrupt()
            case Key.INTERRUPT | Key.END:
                self._interrupt_or_end()

    def _enter(self) -> None:
        text, self._composer = self._composer.strip(), ""
        asked = self._question
        if asked is not None:
            # As in the real ones: whatever is typed here, unless it begins like a no, is a yes.
            self._answer(asked, allowed=not text.lower().startswith(("n", "2")))
        elif text == "/exit":
            self._exit_code = 0
        elif text:
            self.show(Mark.PERSON, text)
            self.prompts.put(text)

    def _answer(self, asked: _Question, *, allowed: bool) -> None:
        # Closed here, not by the turn: the next line may already stand in the same chunk of keys.
        self._question = None
        asked.allowed = allowed
        asked.answered.set()

    def _interrupt(self) -> None:
        asked = self._question
        if asked is not None:
            self._answer(asked, allowed=False)
        elif self._working_since is not None:
            self.stop.set()
            self.on_interrupt()

    def _interrupt_or_end(self) -> None:
        now = time.monotonic()
        if now - self._last_interrupt < TWICE_S:
            self._exit_code = 0
            return
        self._last_interrupt = now
        self._composer = ""
        self._hint = "press Ctrl-C again to end"
        self._interrupt()

    def _take_signals(self) -> dict[int, "signal._HANDLER"]:
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        wanted: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGWINCH: lambda *_: None,
            signal.SIGTERM: self._on_signal,
            signal.SIGHUP: self._on_signal,
        }
        return {number: signal.signal(number, handler) for number, handler in wanted.items()}

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number not in self._ignored:
            self._frozen = False
            self.end(128 + number)

    def _draw(self) -> None:
        width, height = self._size()
        view = View(
            self._header, tuple(self._log), self._status(), self._composer, self._question is not None
        )
        frame = draw(view, width=width, height=height)
        # Erased first: after a row that fills its line, an erase would take its last cell.
        body = "".join(f"\x1b[{at};1H\x1b[K{row}" for at, row in enumerate(frame.rows, 1))
        self._write(f"\x1b[?25l{body}\x1b[{height};{frame.cursor_column}H\x1b[?25h".encode())

    def _status(self) -> str:
        if self._question is not None:
            return f"waiting for permission: {self._question.text}"
        if self._working_since is None:
            return self._hint
        seconds = time.monotonic() - self._working_since
        return f"{SPINNER[int(seconds / FRAME_S) % len(SPINNER)]} working {seconds:.0f}s · Esc interrupts"

    def _size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._stdout)
        except OSError:
            return 80, 24
        return max(size.columns, 1), max(size.lines, 1)

    def _restore(self, before: list[int | list[bytes | int]]) -> None:
        rows = "".join(f"{line.mark} {line.text}\r\n" for line in list(self._log)[-LAST_LINES:])
        self._write(LEAVE_SCREEN + rows.encode(errors="replace"))
        # A step that dies on purpose leaves from the thread of its turn, where signals cannot be set.
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._stdin, termios.TCSANOW, before)

    def _write(self, raw: bytes) -> None:
        with contextlib.suppress(OSError):
            while raw:
                raw = raw[os.write(self._stdout, raw) :]

    def _poke(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b".")


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 4096):
            pass
