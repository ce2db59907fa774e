"""Typing into a pane is exact, and goes nowhere else."""

import string
from dataclasses import replace

import pytest

from agentorchestr.clock import until
from agentorchestr.errors import PaneGone, TmuxError
from agentorchestr.tmux import panes
from agentorchestr.tmux.looking import look
from agentorchestr.tmux.typing import paste_line, press, type_line

from .conftest import SLEEPER

EXACT = [
    "C-c",
    "Enter",
    "-l --help",
    "--",
    "ends with a semicolon;",
    ";",
    "two;;",
    "a backslash and a semicolon\\;",
    "a backslash at the end\\",
    "#{pane_id} #(touch /tmp/x) #[fg=red] ##",
    "$(touch x) `id` $HOME ${HOME} ~ ~root !!",
    "it's \"quoted\" 'twice' ''",
    "{ braces } } %if %1 %% %H",
    " leading and trailing ",
    "größe 漢字 🙂 e\u0301",
    string.printable[:95],
]


def typed(read, *, upto=b"\r"):
    assert until(lambda: read().endswith(upto), within_s=10), read()
    return read()


@pytest.mark.parametrize("text", EXACT)
def test_typed_text_arrives_byte_for_byte(server, byte_logger, text):
    pane_id, read = byte_logger()
    type_line(server, pane_id, text)
    press(server, pane_id, "Enter")
    assert typed(read) == text.encode() + b"\r"


@pytest.mark.parametrize("text", EXACT)
def test_enter_may_follow_in_the_same_moment(server, byte_logger, text):
    pane_id, read = byte_logger()
    type_line(server, pane_id, text, enter=True)
    assert typed(read) == text.encode() + b"\r"


def test_long_text_arrives_in_order_in_pieces(server, byte_logger):
    pane_id, read = byte_logger()
    text = "".join(f"{number:05d};'#ü" for number in range(300))
    type_line(server, pane_id, text, piece_chars=400, pause_s=0.001)
    press(server, pane_id, "Enter")
    assert typed(read) == text.encode() + b"\r"


@pytest.mark.parametrize("text", EXACT)
def test_pasted_text_arrives_byte_for_byte_in_brackets(server, byte_logger, text):
    pane_id, read = byte_logger(bracketed=True)
    paste_line(server, pane_id, text)
    press(server, pane_id, "Enter")
    assert typed(read) == b"\x1b[200~" + text.encode() + b"\x1b[201~\r"
    assert server.run("list-buffers") == []


def test_a_large_paste_arrives_whole(server, byte_logger):
    pane_id, read = byte_logger(bracketed=True)
    text = "0123456789ü" * 5000
    paste_line(server, pane_id, text)
    press(server, pane_id, "Enter")
    assert typed(read) == b"\x1b[200~" + text.encode() + b"\x1b[201~\r"


@pytest.mark.parametrize(
    "text", ["", "two\nlines", "a\rb", "\x1b[201~", "tab\t", "nul\0", "\x7f", "\x9b2J", "\u2028"]
)
@pytest.mark.parametrize("send", [type_line, paste_line])
def test_what_would_act_instead_of_appear_is_refused_and_nothing_is_typed(server, byte_logger, text, send):
    pane_id, read = byte_logger()
    with pytest.raises(ValueError, match=r"nothing to type|cannot be typed"):
        send(server, pane_id, text)
    press(server, pane_id, "x")
    assert typed(read, upto=b"x") == b"x"


def test_a_paste_into_a_dead_pane_leaves_the_server_alive(server, session, tmp_path):
    argv = ("/bin/sh", "-c", "exit 3")
    dead = panes.open_pane(server, session, window="team", title="w", argv=argv, cwd=tmp_path, lead=False)
    assert until(lambda: pane(server, dead).dead, within_s=10)
    for act in (paste_line, type_line):
        with pytest.raises(PaneGone):
            act(server, dead, "a text")
    with pytest.raises(PaneGone):
        press(server, dead, "Enter")
    assert server.has_session(session)
    assert server.run("list-buffers") == []


@pytest.mark.parametrize("act", [type_line, paste_line])
def test_a_pane_that_is_closed_is_told_apart(server, session, tmp_path, act):
    pane_id = panes.open_pane(
        server, session, window="team", title="w", argv=SLEEPER, cwd=tmp_path, lead=False
    )
    panes.close_pane(server, pane_id)
    with pytest.raises(PaneGone) as told:
        act(server, pane_id, "a text")
    assert told.value.pane_id == pane_id


def test_without_a_server_the_pane_is_gone(server):
    with pytest.raises(PaneGone):
        type_line(server, "%1", "a text")


@pytest.mark.parametrize("act", [type_line, paste_line])
def test_nothing_is_typed_while_a_person_scrolls_in_the_pane(server, byte_logger, act):
    pane_id, read = byte_logger()
    server.run("copy-mode", "-t", pane_id)
    with pytest.raises(TmuxError, match="scrolls"):
        act(server, pane_id, "qqq")
    assert pane(server, pane_id).in_mode
    server.run("send-keys", "-t", pane_id, "-X", "cancel")
    press(server, pane_id, "x")
    assert typed(read, upto=b"x") == b"x"


@pytest.mark.parametrize("act", [type_line, paste_line, press])
def test_nothing_is_typed_once_a_person_moved_the_cursor(server, byte_logger, act):
    pane_id, read = byte_logger()
    before = look(server, pane_id).cursor
    elsewhere = replace(before, column=before.column + 1)
    with pytest.raises(TmuxError, match="somebody typed"):
        act(server, pane_id, "q", cursor=elsewhere)
    act(server, pane_id, "y", cursor=before)
    press(server, pane_id, "x")
    assert typed(read, upto=b"x") == b"yx"
    assert server.run("list-buffers") == []


def test_keys_are_pressed_by_name(server, byte_logger):
    pane_id, read = byte_logger()
    for key in ("C-c", "Escape", ";", "C-u", "Enter"):
        press(server, pane_id, key)
    assert typed(read) == b"\x03\x1b;\x15\r"


@pytest.mark.parametrize("key", ["", "two words", "C-", "rm -rf", "Enter;", "\n", "enter\n"])
def test_what_is_no_key_is_refused(server, key):
    with pytest.raises(ValueError, match="not a key"):
        press(server, "%1", key)


def test_a_target_that_is_no_pane_id_is_refused(server):
    with pytest.raises(ValueError, match="not a pane id"):
        type_line(server, "s1:0", "text")


def pane(server, pane_id):
    return next(row for row in panes.list_panes(server) if row.pane_id == pane_id)
