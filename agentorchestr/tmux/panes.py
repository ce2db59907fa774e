"""The panes of our server: list them all at once, open, close and respawn one, capture a screen."""

import contextlib
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import PaneGone, TmuxError, TmuxGone
from agentorchestr.tmux import quoting
from agentorchestr.tmux.layout import MAX_PANES, team_layout
from agentorchestr.tmux.server import Command, TmuxServer, is_gone, no_server, refusal, window_options


@dataclass(frozen=True)
class PaneRow:
    """One pane as tmux sees it at one moment.

    ``dead`` is tmux's word: the terminal is closed. ``dead_status`` is the exit code, negative for a
    signal, and None while it lives or before tmux has learned it (the pid may be a zombie meanwhile).
    """

    pane_id: str
    window_id: str
    window_index: int
    session: str
    pid: int
    dead: bool
    dead_status: int | None
    title: str
    """Ours, as given to ``open_pane``; what the program last called itself in a pane that is not ours."""
    width: int
    height: int
    in_mode: bool
    """A person scrolls or searches in it: keys would go to tmux and not to the program."""
    command: str
    worker_id: str = ""
    program_title: str = ""
    team: str = ""
    """The *window* its window was opened under, empty in windows that ``open_pane`` did not make."""
    lead: bool = False
    active: bool = False
    zoomed: bool = False
    window_size: tuple[int, int] = (0, 0)


# Paths are not asked for: nothing decides by them. Order: as _row reads them.
FIELDS = (
    "pane_id",
    "window_id",
    "window_index",
    "session_name",
    "pane_pid",
    "pane_dead",
    "pane_dead_status",
    "pane_dead_signal",
    "@ao_title",
    "pane_title",
    "pane_width",
    "pane_height",
    "pane_in_mode",
    "pane_current_command",
    "@ao_worker",
    "@ao_team",
    "@ao_lead",
    "pane_active",
    "window_zoomed_flag",
    "window_width",
    "window_height",
    "pid",
)


def list_panes(server: TmuxServer, session: str | None = None) -> tuple[PaneRow, ...]:
    """Every pane of *session*, or of the whole server, in tmux's order; empty without that session.

    One tmux call. Rows and fields are parted by words made for this call, so no title or program
    name, with a newline or whatever else in it, can break or forge a row. A death that tmux missed is
    brought to its notice, so that the ``pane-died`` hook follows.

    Raises ``TmuxGone`` when no server answers.
    """
    nonce = secrets.token_hex(6)
    row_mark, field_mark = f"{nonce}r", f"{nonce}f"
    wanted = row_mark + field_mark.join(f"#{{{name}}}" for name in FIELDS)
    where = ("-a",) if session is None else ("-s", "-t", quoting.session_target(session))
    done = server.call([("list-panes", *where, "-F", wanted)])
    if no_server(done):
        raise TmuxGone(f"no tmux server answers: {done.error_text}")
    if is_gone(done):
        return ()
    if done.returncode != 0:
        raise refusal(done, during="list-panes")
    told = [row.removesuffix("\n").split(field_mark) for row in done.text.split(row_mark)[1:]]
    rows = tuple(_row(fields) for fields in told)
    if any(row.dead and row.dead_status is None for row in rows):
        _nudge(int(told[0][-1]))
    return rows


def _nudge(server_pid: int) -> None:
    # tmux up to 3.3a loses SIGCHLD while libutempter's helper runs, which is when panes die.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(server_pid, signal.SIGCHLD)


def _row(fields: list[str]) -> PaneRow:
    got = dict(zip(FIELDS, fields, strict=True))
    dead = got["pane_dead"] == "1"
    return PaneRow(
        pane_id=got["pane_id"],
        window_id=got["window_id"],
        window_index=int(got["window_index"]),
        session=got["session_name"],
        pid=int(got["pane_pid"] or 0),
        dead=dead,
        dead_status=_status(got["pane_dead_status"], got["pane_dead_signal"]) if dead else None,
        title=got["@ao_title"] or quoting.printable(got["pane_title"]),
        width=int(got["pane_width"]),
        height=int(got["pane_height"]),
        in_mode=got["pane_in_mode"] not in {"", "0"},
        command=quoting.printable(got["pane_current_command"]),
        worker_id=got["@ao_worker"],
        program_title=quoting.printable(got["pane_title"]),
        team=got["@ao_team"],
        lead=got["@ao_lead"] == "1",
        active=got["pane_active"] == "1",
        zoomed=got["window_zoomed_flag"] == "1",
        window_size=(int(got["window_width"]), int(got["window_height"])),
    )


def _status(code: str, ended_by: str) -> int | None:
    if ended_by.isdecimal():
        return -int(ended_by)
    return int(code) if code.isdecimal() else None


def open_pane(
    server: TmuxServer,
    session: str,
    *,
    window: str,
    title: str,
    argv: Sequence[str],
    cwd: Path,
    lead: bool,
    worker_id: str = "",
) -> str:
    """Run *argv* in a new pane of the team *window* and return the pane's id.

    The pane goes into the first window of that team with a free place, else into a new window of its
    own. Safe from several threads. What fails half-way leaves no pane.

    Raises ``TmuxError``, and ``ValueError`` for an *argv* that tmux would give to a shell.
    """
    words = quoting.exec_words(tuple(argv))
    team = quoting.plain_title(window)
    marks = {"@ao_title": quoting.plain_title(title), "@ao_worker": quoting.plain_title(worker_id)}
    marks["@ao_lead"] = "1" if lead else ""
    with server.layout_lock:
        for _ in range(2):  # a pane may close between the look and the split
            rows = [row for row in list_panes(server, session) if row.team == team]
            mates = _with_room(rows)
            if mates and (pane_id := _split(server, mates, words=words, cwd=cwd, marks=marks)):
                return pane_id
        return _new_window(server, session, team=team, rows=rows, words=words, cwd=cwd, marks=marks)


def _with_room(rows: Sequence[PaneRow]) -> list[PaneRow]:
    for window_id in dict.fromkeys(row.window_id for row in rows):
        mates = [row for row in rows if row.window_id == window_id]
        if len(mates) < MAX_PANES:
            return mates
    return []


def _split(
    server: TmuxServer,
    mates: Sequence[PaneRow],
    *,
    words: tuple[str, ...],
    cwd: Path,
    marks: Mapping[str, str],
) -> str:
    """Split the last pane, for a lead the first; "" when the window has no place or is gone."""
    lead = bool(marks["@ao_lead"])
    beside = ("-b", "-t", mates[0].pane_id) if lead else ("-t", mates[-1].pane_id)
    wide, high = mates[0].window_size
    has_lead = lead or any(row.lead for row in mates)
    layout = team_layout(wide, high, panes=len(mates) + 1, lead=has_lead)
    # The new pane is the active one until select-pane, so the window's id names it in the list.
    window = mates[0].window_id
    commands: list[Command] = [
        ("split-window", "-v", *beside, "-P", "-F", "#{pane_id}", *words),
        *_marking(window, marks),
        ("select-layout", "-t", window, layout),
    ]
    for row in mates:
        if row.active:
            commands.append(("select-pane", "-t", row.pane_id))
            commands += [("resize-pane", "-Z", "-t", row.pane_id)] if row.zoomed else []
    return _opened(server, commands, cwd=cwd)


def _new_window(
    server: TmuxServer,
    session: str,
    *,
    team: str,
    rows: Sequence[PaneRow],
    words: tuple[str, ...],
    cwd: Path,
    marks: Mapping[str, str],
) -> str:
    """Open a window whose first pane runs *words*; its options hold before the program can die."""
    number = len({row.window_id for row in rows}) + 1
    # The window's id is not known inside the list, so it is met by a name that is nobody else's.
    scratch = f"ao-{secrets.token_hex(6)}"
    target = f"{quoting.session_target(session)}={scratch}"
    opening = ("new-window", "-d", "-t", quoting.session_target(session), "-n", scratch)
    commands: list[Command] = [
        (*opening, "-P", "-F", "#{pane_id}", *words),
        *window_options(target),
        ("set-option", "-wq", "-t", target, "@ao_team", team),
        *_marking(target, marks),
        ("rename-window", "-t", target, team if number == 1 else f"{team}-{number}"),
    ]
    pane_id = _opened(server, commands, cwd=cwd)
    if not pane_id:
        raise TmuxError(f"the tmux session {session} is gone, or has no room for a window")
    return pane_id


def _marking(target: str, marks: Mapping[str, str]) -> list[Command]:
    setting = [("set-option", "-p", "-t", target, name, value) for name, value in marks.items()]
    return [*setting, ("select-pane", "-t", target, "-T", marks["@ao_title"])]


def _opened(server: TmuxServer, commands: Sequence[Command], *, cwd: Path) -> str:
    """Run *commands*, of which the first opens a pane and tells its id; "" when there is no place.

    What opened a pane and failed afterwards leaves none.
    """
    done = server.call(commands, cwd=cwd)
    pane_id = done.text.strip()
    if done.returncode == 0:
        return pane_id
    if pane_id:
        close_pane(server, pane_id)
    if is_gone(done) or "no space" in done.error_text:
        return ""
    raise refusal(done, during=commands[0][0])


def close_pane(server: TmuxServer, pane_id: str) -> None:
    """End the pane and what runs in it; one that is gone is fine."""
    done = server.call([("kill-pane", "-t", quoting.pane_target(pane_id))])
    if done.returncode != 0 and not is_gone(done):
        raise refusal(done, during="kill-pane")


def respawn_pane(server: TmuxServer, pane_id: str, argv: Sequence[str]) -> None:
    """Run *argv* in the same pane, in place of what runs there. Raises ``PaneGone``."""
    words = quoting.exec_words(tuple(argv))
    done = server.call([("respawn-pane", "-k", "-t", quoting.pane_target(pane_id), *words)])
    if is_gone(done):
        raise PaneGone(pane_id, during="a respawn")
    if done.returncode != 0:
        raise refusal(done, during="respawn-pane")


def capture(
    server: TmuxServer,
    pane_id: str,
    *,
    tail_lines: int = 200,
    colours: bool = False,
) -> tuple[str, ...]:
    """The last *tail_lines* lines of the pane, history included, top line first.

    Empty lines at the end are left out. With *colours* the lines hold tmux's escape sequences. A dead
    pane still has its last screen. Raises ``PaneGone``.
    """
    colour = ("-e",) if colours else ()
    target = quoting.pane_target(pane_id)
    done = server.call([("capture-pane", "-p", *colour, "-t", target, "-S", f"-{tail_lines}")])
    if is_gone(done):
        raise PaneGone(pane_id, during="a capture")
    if done.returncode != 0:
        raise refusal(done, during="capture-pane")
    lines = done.text.rstrip("\n").split("\n") if done.text.strip("\n") else []
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(lines[-tail_lines:])
