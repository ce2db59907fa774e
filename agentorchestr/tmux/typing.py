"""Put text into a pane: the only module that sends keys.

Whether now is the moment is the caller's question (design: "may I type now?"). Here each stroke is
guarded inside the server, between the look and the act: nothing goes to a dead pane or to a pane whose
keys tmux itself would take.
"""

import re
import secrets

from agentorchestr.clock import SYSTEM_CLOCK
from agentorchestr.errors import PaneGone, TmuxError
from agentorchestr.tmux import quoting
from agentorchestr.tmux.looking import Cursor
from agentorchestr.tmux.server import TmuxServer, is_gone, refusal

KEY = re.compile(r"(?:[CMS]-)*(?:[!-~]|[A-Z][A-Za-z0-9]{1,9})")
# tmux drops a command line beyond some 16 kB; a character takes up to four bytes.
MAX_PIECE_CHARS = 2000


def type_line(
    server: TmuxServer,
    pane_id: str,
    text: str,
    *,
    piece_chars: int = 400,
    pause_s: float = 0.03,
    cursor: Cursor | None = None,
    enter: bool = False,
) -> None:
    """Type *text* in pieces, exactly as it is.

    With *cursor*, nothing is typed when it stands elsewhere by now: somebody typed in between. With
    *enter*, Enter follows the last piece in the same moment, so that nobody can type in between.

    Raises ``ValueError`` for an empty text or one with a newline or control character (nothing is
    typed), ``PaneGone`` when the pane is dead or closed, ``TmuxError`` while a person is at it.
    """
    quoting.refuse_acting(text)
    size = max(1, min(piece_chars, MAX_PIECE_CHARS))
    for start in range(0, len(text), size):
        if start:
            SYSTEM_CLOCK.rest(pause_s)
        piece = text[start : start + size]
        last = start + size >= len(text)
        keys: list[tuple[str, ...]] = [("send-keys", "-l", "-t", pane_id, "--", piece)]
        keys += [("send-keys", "-t", pane_id, "--", "Enter")] if enter and last else []
        _guarded(server, pane_id, *keys, during="typing", cursor=None if start else cursor)


def paste_line(server: TmuxServer, pane_id: str, text: str, *, cursor: Cursor | None = None) -> None:
    """Paste *text* (bracketed where the program asked for it), without Enter; errors as in ``type_line``.

    Source: tmux 3.3a's server ends with a segmentation fault at ``paste-buffer`` into a dead pane.
    """
    quoting.refuse_acting(text)
    buffer = f"ao-{secrets.token_hex(6)}"
    load = ("load-buffer", "-b", buffer, "-")
    paste = ("paste-buffer", "-d", "-p", "-r", "-b", buffer, "-t", pane_id)
    try:
        _guarded(server, pane_id, paste, during="a paste", cursor=cursor, first=load, stdin=text.encode())
    except TmuxError:
        server.call([("delete-buffer", "-b", buffer)])
        raise


def press(server: TmuxServer, pane_id: str, key: str, *, cursor: Cursor | None = None) -> None:
    """Press one key by tmux's name for it: ``Enter``, ``Escape``, ``C-c``. Errors as in ``type_line``."""
    if not KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    keys = ("send-keys", "-t", pane_id, "--", key)
    _guarded(server, pane_id, keys, during="a key press", cursor=cursor)


def _guarded(
    server: TmuxServer,
    pane_id: str,
    *actions: tuple[str, ...],
    during: str,
    cursor: Cursor | None = None,
    first: tuple[str, ...] = (),
    stdin: bytes = b"",
) -> None:
    target = quoting.pane_target(pane_id)
    refused = ("display-message", "-p", "-t", target, "refused #{pane_dead} #{pane_in_mode}")
    guard = ("if-shell", "-F", "-t", target, _takes_keys(cursor))
    acting = " ; ".join(quoting.command_line(action) for action in actions)
    asked = (*guard, acting, quoting.command_line(refused))
    done = server.call([first, asked] if first else [asked], stdin=stdin)
    if is_gone(done):
        raise PaneGone(pane_id, during=during)
    if done.returncode != 0:
        raise refusal(done, during=during)
    if done.text.startswith("refused 1"):
        raise PaneGone(pane_id, during=during)
    if done.text.startswith("refused 0 0"):
        raise TmuxError(f"somebody typed in pane {pane_id}: {during} would change what stands there")
    if done.text.startswith("refused"):
        raise TmuxError(
            f"somebody scrolls in pane {pane_id}: {during} would go to tmux",
            hint="leave tmux's copy mode there (q)",
        )


def _takes_keys(cursor: Cursor | None) -> str:
    """True for a living pane that is not in a mode, and whose cursor did not move."""
    there = "1" if cursor is None else f"#{{==:#{{cursor_x}} #{{cursor_y}},{cursor.column} {cursor.row}}}"
    return f"#{{?pane_dead,,#{{?pane_in_mode,,{there}}}}}"
