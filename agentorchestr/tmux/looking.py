"""Look at one pane at one moment: its screen, its cursor, and whether a person is at it."""

import secrets
from dataclasses import dataclass

from agentorchestr.errors import PaneGone
from agentorchestr.tmux import quoting
from agentorchestr.tmux.server import TmuxServer, is_gone, refusal


@dataclass(frozen=True)
class Cursor:
    """Where a pane's cursor stands, from 0."""

    column: int
    row: int


@dataclass(frozen=True)
class Look:
    """What a pane showed. Nothing came between its parts."""

    screen: tuple[str, ...]
    """Top line first, with tmux's escape sequences; without empty lines at the end."""
    cursor: Cursor
    dead: bool
    in_mode: bool
    """A person scrolls or searches in it."""
    typed_at: float
    """When somebody last pressed a key in a terminal that shows this pane, to the second; 0: none does."""


def look(server: TmuxServer, pane_id: str, *, tail_lines: int = 60) -> Look:
    """Look at a pane, in one call. Raises ``PaneGone`` and ``TmuxError``."""
    target, mark = quoting.pane_target(pane_id), secrets.token_hex(6)
    told = "#{pane_dead} #{pane_in_mode} #{cursor_x} #{cursor_y}"
    done = server.call(
        [
            ("list-clients", "-F", "#{client_activity} #{pane_id}"),
            ("display-message", "-p", "-t", target, f"{mark} {told}"),
            ("capture-pane", "-p", "-e", "-t", target, "-S", f"-{tail_lines}"),
        ]
    )
    if is_gone(done):
        raise PaneGone(pane_id, during="a look")
    if done.returncode != 0:
        raise refusal(done, during="a look")
    clients, _, rest = done.text.partition(mark)
    state, _, shown = rest.partition("\n")
    dead, in_mode, column, row = state.split()
    return Look(
        screen=_lines(shown)[-tail_lines:],
        cursor=Cursor(int(column), int(row)),
        dead=dead == "1",
        in_mode=in_mode != "0",
        typed_at=max((_activity(line, pane_id) for line in clients.splitlines()), default=0.0),
    )


def _lines(shown: str) -> tuple[str, ...]:
    lines = shown.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(lines)


def _activity(line: str, pane_id: str) -> float:
    at, _, active_pane = line.partition(" ")
    return float(at) if active_pane == pane_id and at.isdecimal() else 0.0
