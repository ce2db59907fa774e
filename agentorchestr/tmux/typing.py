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
from agentorchestr.tmux.server import TmuxServer, is_gone, refusal

KEY = re.compile(r"(?:[CMS]-)*(?:[!-~]|[A-Z][A-Za-z0-9]{1,9})")
# tmux drops a command line beyond some 16 kB; a character takes up to four bytes.
MAX_PIECE_CHARS = 2000
TAKES_KEYS = "#{?pane_dead,,#{?pane_in_mode,,1}}"


def type_line(
    server: TmuxServer,
    pane_id: str,
    text: str,
    *,
    piece_chars: int = 400,
    pause_s: float = 0.03,
    enter_pause_s: float = 0.3,
) -> None:
    """Type *text* in pieces, exactly as it is, then Enter.

    Raises ``ValueError`` for an empty text or one with a newline or control character (nothing is
    typed), ``PaneGone`` when the pane is dead or closed, ``TmuxError`` while a person scrolls in it.
    """
    quoting.refuse_acting(text)
    size = max(1, min(piece_chars, MAX_PIECE_CHARS))
    for start in range(0, len(text), size):
        if start:
            SYSTEM_CLOCK.rest(pause_s)
        piece = text[start : start + size]
        _guarded(server, pane_id, ("send-keys", "-l", "-t", pane_id, "--", piece), during="typing")
    SYSTEM_CLOCK.rest(enter_pause_s)
    press(server, pane_id, "Enter")


def paste_line(server: TmuxServer, pane_id: str, text: str, *, enter_pause_s: float = 0.3) -> None:
    """Paste *text* (bracketed where the program asked for it), then Enter; errors as in ``type_line``.

    Source: tmux 3.3a's server ends with a segmentation fault at ``paste-buffer`` into a dead pane.
    """
    quoting.refuse_acting(text)
    buffer = f"ao-{secrets.token_hex(6)}"
    load = ("load-buffer", "-b", buffer, "-")
    paste = ("paste-buffer", "-d", "-p", "-r", "-b", buffer, "-t", pane_id)
    try:
        _guarded(server, pane_id, paste, during="a paste", first=load, stdin=text.encode())
    except TmuxError:
        server.call([("delete-buffer", "-b", buffer)])
        raise
    SYSTEM_CLOCK.rest(enter_pause_s)
    press(server, pane_id, "Enter")


def press(server: TmuxServer, pane_id: str, key: str) -> None:
    """Press one key by tmux's name for it: ``Enter``, ``Escape``, ``C-c``. Errors as in ``type_line``."""
    if not KEY.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    _guarded(server, pane_id, ("send-keys", "-t", pane_id, "--", key), during="a key press")


def _guarded(
    server: TmuxServer,
    pane_id: str,
    action: tuple[str, ...],
    *,
    during: str,
    first: tuple[str, ...] = (),
    stdin: bytes = b"",
) -> None:
    target = quoting.pane_target(pane_id)
    refused = ("display-message", "-p", "-t", target, "refused #{pane_dead}")
    guard = ("if-shell", "-F", "-t", target, TAKES_KEYS)
    asked = (*guard, quoting.command_line(action), quoting.command_line(refused))
    done = server.call([first, asked] if first else [asked], stdin=stdin)
    if is_gone(done):
        raise PaneGone(pane_id, during=during)
    if done.returncode != 0:
        raise refusal(done, during=during)
    if done.text.startswith("refused 1"):
        raise PaneGone(pane_id, during=during)
    if done.text.startswith("refused"):
        raise TmuxError(
            f"somebody scrolls in pane {pane_id}: {during} would go to tmux",
            hint="leave tmux's copy mode there (q)",
        )
