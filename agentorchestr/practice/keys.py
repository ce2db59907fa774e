"""From the bytes of a terminal to keys: text, Enter, Esc, Ctrl-C, a bracketed paste."""

import codecs
import re
from dataclasses import dataclass
from enum import StrEnum

PASTE_BEGINS = b"\x1b[200~"
PASTE_ENDS = b"\x1b[201~"
PASTE_BYTES = 1024 * 1024
# CSI and SS3 sequences of keys we have no use for: arrows, function keys, focus reports.
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[@-~])")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?$")
_CONTROL = frozenset(range(0x20)) | {0x7F}


class Key(StrEnum):
    """What a key press means here."""

    TEXT = "text"
    ENTER = "enter"
    ESCAPE = "escape"
    INTERRUPT = "interrupt"
    END = "end"
    BACKSPACE = "backspace"
    CLEAR = "clear"


@dataclass(frozen=True)
class Press:
    """One key press; ``text`` is what was typed or pasted."""

    key: Key
    text: str = ""


_SINGLE = {
    0x0D: Press(Key.ENTER),
    0x0A: Press(Key.ENTER),
    0x03: Press(Key.INTERRUPT),
    0x04: Press(Key.END),
    0x08: Press(Key.BACKSPACE),
    0x7F: Press(Key.BACKSPACE),
    0x15: Press(Key.CLEAR),
    0x09: Press(Key.TEXT, " "),
}


class KeyReader:
    """Feeds on chunks as ``read`` returns them; keeps what is not complete yet."""

    def __init__(self) -> None:
        self._rest = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def pending(self) -> bool:
        """Whether a lone Esc may still become a longer sequence: call ``settle`` soon."""
        return bool(self._rest) and not self._rest.startswith(PASTE_BEGINS)

    def settle(self) -> list[Press]:
        """Take a pending Esc for the Esc key: nothing followed it in time."""
        if not self.pending:
            return []
        self._rest = b""
        return [Press(Key.ESCAPE)]

    def feed(self, chunk: bytes) -> list[Press]:
        """The keys that are complete now."""
        self._rest += chunk
        presses: list[Press] = []
        while self._rest:
            press, used = self._next()
            if not used:
                break
            self._rest = self._rest[used:]
            if press is not None:
                presses.append(press)
        return presses

    def _next(self) -> tuple[Press | None, int]:
        if self._rest[0] == 0x1B:  # noqa: PLR2004 -- ESC
            return self._escape()
        if self._rest[0] in _CONTROL:
            return _SINGLE.get(self._rest[0]), 1
        end = next((i for i, byte in enumerate(self._rest) if byte in _CONTROL), len(self._rest))
        text = self._decoder.decode(self._rest[:end])
        return (Press(Key.TEXT, text) if text else None), end

    def _escape(self) -> tuple[Press | None, int]:
        if self._rest.startswith(PASTE_BEGINS):
            return self._paste()
        found = _SEQUENCE.match(self._rest)
        if found:
            return None, found.end()
        if _UNFINISHED.match(self._rest):
            return None, 0
        return Press(Key.ESCAPE), 1

    def _paste(self) -> tuple[Press | None, int]:
        end = self._rest.find(PASTE_ENDS, len(PASTE_BEGINS))
        if end < 0 and len(self._rest) < PASTE_BYTES:
            return None, 0
        whole = end if end >= 0 else len(self._rest)
        text = self._rest[len(PASTE_BEGINS) : whole].decode(errors="replace")
        used = whole + (len(PASTE_ENDS) if end >= 0 else 0)
        return Press(Key.TEXT, text.replace("\r\n", "\n").replace("\r", "\n")), used
