"""How text becomes one word of a tmux command, a literal in a format, or a word of the hook's shell."""

import re
import unicodedata

SESSION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PANE_ID = re.compile(r"%\d{1,9}")
# Characters that would act instead of appear: control, surrogate, line and paragraph separator.
ACTING = frozenset({"Cc", "Cs", "Zl", "Zp"})


def argv_word(word: str) -> str:
    """Keep a trailing semicolon of *word*: tmux takes it for the end of a command."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word


def command_word(word: str) -> str:
    """Quote *word* for a command that tmux parses itself, as in ``if-shell``."""
    return "'" + word.replace("'", "'\\''") + "'"


def command_line(words: tuple[str, ...]) -> str:
    """One tmux command as a string that tmux parses back into *words*."""
    return " ".join(command_word(word) for word in words)


def status_literal(text: str) -> str:
    """Make *text* stand for itself in a status line, which tmux expands and then draws.

    Expanding and drawing each halve a run of ``#``; before ``[`` only drawing does. Source: format.c and
    format-draw.c of tmux 3.3a, and the screen.
    """
    literal = printable(text).replace("%", "%%")
    return re.sub(r"#+(\[?)", lambda run: run[0].rstrip("[") * (2 if run[1] else 4) + run[1], literal)


def printable(text: str) -> str:
    """*text* on one line: every character that would act becomes a space."""
    return "".join(" " if unicodedata.category(char) in ACTING else char for char in text)


def plain_title(title: str) -> str:
    """*title* as we store it: one line, and without ``#``, which starts a style in a pane's border."""
    return " ".join(printable(title).replace("#", " ").split())[:120]


def refuse_acting(text: str) -> None:
    """Raise ``ValueError`` unless *text* is one line of characters that only appear."""
    if not text:
        raise ValueError("there is nothing to type")
    for place, char in enumerate(text):
        if unicodedata.category(char) in ACTING:
            raise ValueError(f"character {place} ({char!a}) cannot be typed: only one line of text can")


def session_target(name: str) -> str:
    """The target that means the tmux session *name* and no other.

    Raises ``ValueError`` for a name that tmux would change or read as a pattern.
    """
    if not SESSION_NAME.fullmatch(name):
        raise ValueError(f"not a name for a tmux session: {name!r}")
    return f"={name}:"


def pane_target(pane_id: str) -> str:
    """Return *pane_id* itself; raise ``ValueError`` when it is not tmux's ``%<number>``."""
    if not PANE_ID.fullmatch(pane_id):
        raise ValueError(f"not a pane id: {pane_id!r}")
    return pane_id


def exec_words(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return *argv* behind ``--``, refusing what tmux would hand to a shell.

    Source: spawn.c; one word is a shell command, two or more are run by exec.
    """
    if len(argv) < 2:  # noqa: PLR2004 - the border is tmux's own
        raise ValueError("tmux runs a single word through a shell: give the program and an argument")
    if any("\0" in word for word in argv):
        raise ValueError("a word of a command line cannot hold NUL")
    return ("--", *argv)
