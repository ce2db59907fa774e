"""What the practice agent's screen looks like, as pure text: rows of exactly the given size."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
RESET = "\x1b[0m"
COMPOSER = "> "
ASKING = "? "


class Mark(StrEnum):
    """The kind of a log line: the sign in front of it."""

    PERSON = "»"
    SAYS = "●"
    TOOL = "·"
    ERROR = "✗"


COLOUR = {Mark.PERSON: "\x1b[1m", Mark.SAYS: "", Mark.TOOL: "\x1b[2m", Mark.ERROR: "\x1b[31m"}


@dataclass(frozen=True)
class LogLine:
    """One entry of the log area."""

    mark: Mark
    text: str


@dataclass(frozen=True)
class View:
    """Everything a frame shows."""

    header: str
    log: Sequence[LogLine]
    status: str
    composer: str
    asking: bool = False


@dataclass(frozen=True)
class Frame:
    """The rows of a screen, top first, and the column of the cursor in the last row (from 1)."""

    rows: tuple[str, ...]
    cursor_column: int


def draw(view: View, *, width: int, height: int) -> Frame:
    """Lay *view* out on *width* by *height* cells.

    The composer is the last row and never goes away; then the status, the header and the log get what
    is left, in this order. Text is data: control characters in it are made harmless.
    """
    composer, column = _composer(view, width)
    rows = [composer]
    if height > 1:
        rows.insert(0, cut(view.status, width))
    head = [f"\x1b[7m{_filled(view.header, width)}{RESET}"] if height > 3 else []  # noqa: PLR2004 -- header, log, status, composer
    space = height - len(rows) - len(head)
    return Frame((*head, *_log_rows(view.log, width, space), *rows), column)


def plain(text: str) -> str:
    """*text* on one line, every control character and lone surrogate replaced."""
    return "".join(
        " " if ch in "\n\t\r" else "·" if unicodedata.category(ch) in {"Cc", "Cs"} else ch for ch in text
    )


def cells(ch: str) -> int:
    """How many cells *ch* takes."""
    if unicodedata.combining(ch) or unicodedata.category(ch) in {"Mn", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def cut(text: str, width: int) -> str:
    """As much of *text* as fits into *width* cells."""
    used = 0
    for at, ch in enumerate(shown := plain(text[: width * 4])):
        used += cells(ch)
        if used > width:
            return shown[:at]
    return shown


def _filled(text: str, width: int) -> str:
    shown = cut(text, width)
    return shown + " " * (width - sum(map(cells, shown)))


def _composer(view: View, width: int) -> tuple[str, int]:
    sign = ASKING if view.asking else COMPOSER
    space = max(width - len(sign) - 1, 1)
    text = plain(view.composer.replace("\n", "⏎")[-space:])
    while sum(map(cells, text)) > space:
        text = text[1:]
    row = cut(sign + text, width)
    return row, min(sum(map(cells, row)) + 1, width)


def _log_rows(log: Sequence[LogLine], width: int, space: int) -> list[str]:
    """The newest lines, wrapped; blank rows below while there are few."""
    rows: list[str] = []
    for line in reversed(log):
        if len(rows) >= space:
            break
        rows = [f"{COLOUR[line.mark]}{piece}{RESET}" for piece in _wrap(line, width, space)] + rows
    rows = rows[len(rows) - space :] if len(rows) > space else rows
    return rows + [""] * (space - len(rows))


def _wrap(line: LogLine, width: int, most_rows: int) -> list[str]:
    indent = 2 if width > 4 else 0  # noqa: PLR2004 -- no room for an indent below that
    rest = plain(line.text[: width * (most_rows + 1)])
    pieces: list[str] = []
    while rest or not pieces:
        piece = _whole_words(cut(rest, max(width - indent, 1)) or rest[:1], rest)
        rest = rest[len(piece) :].lstrip(" ")
        sign = f"{line.mark} " if indent and not pieces else " " * indent
        pieces.append(sign + piece)
    return pieces


def _whole_words(piece: str, rest: str) -> str:
    """*piece*, the beginning of *rest*, without the half word at its end, unless that is most of it."""
    space = piece.rfind(" ")
    cuts_a_word = len(piece) < len(rest) and rest[len(piece)] != " "
    return piece[:space] if cuts_a_word and space > len(piece) // 2 else piece
