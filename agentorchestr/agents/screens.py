"""Read an agent's screen: a second opinion, never the only one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agentorchestr.agents.spec import AgentSpec

SGR = re.compile(r"\x1b\[([\d;:]*)m")
OTHER_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)")


class ScreenState(StrEnum):
    """What a settled screen shows."""

    READY = "ready"
    BUSY = "busy"
    ASKS = "asks"
    FAILED = "failed"
    LIMITED = "limited"
    UNKNOWN = "unknown"


def classify(spec: AgentSpec, screen: Sequence[str]) -> ScreenState:
    """Name the state that *screen* shows: what tmux rendered, top line first, without escapes.

    Only the last ``tail_lines`` lines that are not empty count. Where several rules match, the one that
    forbids more wins: a question before a running turn, a running turn before an old failure above it,
    and ready only when nothing else matches.
    """
    rules = spec.screens
    lines = [line.rstrip() for line in screen if line.strip()][-rules.tail_lines :]
    for state, patterns in (
        (ScreenState.ASKS, rules.asks),
        (ScreenState.BUSY, rules.busy),
        (ScreenState.LIMITED, rules.limited),
        (ScreenState.FAILED, rules.failed),
        (ScreenState.READY, rules.ready),
    ):
        if any(re.search(pattern, line) for pattern in patterns for line in lines):
            return state
    return ScreenState.UNKNOWN


def composer_text(spec: AgentSpec, screen_with_colours: Sequence[str]) -> str | None:
    """What a person has typed into the composer and not sent: empty for nothing, None when not to be told.

    Lines carry their escapes: a placeholder looks like typed text but for its dim colour.
    """
    rules = spec.screens
    if not rules.composer:
        return None
    lines = _read(screen_with_colours)
    starts = [at for at, (shown, _) in enumerate(lines) if re.search(rules.composer, shown)]
    if not starts:
        return None
    typed: list[str] = []
    for at in range(starts[-1], len(lines)):
        shown, bright = lines[at]
        if at > starts[-1] and rules.composer_ends and re.search(rules.composer_ends, shown):
            break
        typed.append(re.sub(rules.composer, "", bright) if at == starts[-1] else bright)
    return "\n".join(line.strip() for line in typed).strip()


@dataclass(frozen=True)
class _Cell:
    char: str
    dim: bool
    reverse: bool


@dataclass(frozen=True)
class _Look:
    """The attributes in force, as far as they matter here."""

    dim: bool = False
    reverse: bool = False

    def after(self, parameters: str) -> "_Look":
        """The look after one SGR sequence."""
        dim, reverse = self.dim, self.reverse
        numbers = iter(parameters.replace(":", ";").split(";"))
        for number in numbers:
            if number in {"", "0"}:
                dim = reverse = False
            elif number in {"2", "22"}:
                dim = number == "2"
            elif number in {"7", "27"}:
                reverse = number == "7"
            elif number in {"38", "48", "58"}:
                # The numbers of a colour follow: one of 256, or red, green and blue.
                for _ in range(1 if next(numbers, "") == "5" else 3):
                    next(numbers, "")
        return _Look(dim, reverse)


def _read(screen: Sequence[str]) -> list[tuple[str, str]]:
    """Each line without escapes, and the same without its dim text."""
    lines: list[tuple[str, str]] = []
    # tmux writes changes of attributes only: what one line sets holds on the next.
    look = _Look()
    for line in screen:
        cells, look = _cells(line, look)
        lines.append(("".join(cell.char for cell in cells), _bright(cells)))
    return lines


def _cells(line: str, look: _Look) -> tuple[list[_Cell], _Look]:
    cells: list[_Cell] = []
    at = 0
    while at < len(line):
        if escape := SGR.match(line, at):
            look = look.after(escape[1])
        elif not (escape := OTHER_ESCAPE.match(line, at)):
            cells.append(_Cell(line[at], look.dim, look.reverse))
        at = escape.end() if escape else at + 1
    return cells, look


def _bright(cells: Sequence[_Cell]) -> str:
    """What is not dim. The cursor on the first letter of a placeholder is part of the placeholder."""
    shown = (
        cell.char
        for at, cell in enumerate(cells)
        if not cell.dim and not (cell.reverse and at + 1 < len(cells) and cells[at + 1].dim)
    )
    return "".join(shown)
