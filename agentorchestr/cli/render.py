"""The only printer: a command gives values, and this turns them into text, tables or JSON.

Everything shown is cleaned first, so neither markup nor terminal codes in it have an effect.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from agentorchestr.cli.text import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SCHEMA = "agentorchestr/1"

Rows = Sequence[Sequence[object]]


class Screen:
    """Where one command shows things: answers on *out*, questions and problems on *err*."""

    def __init__(
        self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along."""
        return self._out.isatty()

    def line(self, text: object = "", *, indent: int = 0) -> None:
        """Show one line of an answer; nothing when the answer is JSON."""
        if not self.as_json:
            self._write(self._out, " " * indent + clean(text))

    def block(self, lines: Sequence[str]) -> None:
        """Show lines that ``clean_block`` gave, with their indents."""
        if not self.as_json:
            for line in lines:
                self._write(self._out, line)

    def note(self, text: object) -> None:
        """Say something beside the answer."""
        self._write(self._err, clean(text))

    def problem(self, message: object, *, hint: object = "") -> None:
        """Say what is wrong in one line, and in a second one what to type next."""
        self._write(self._err, f"agentorchestr: {clean(message)}")
        if hint:
            self._write(self._err, f"  hint: {clean(hint)}")

    def help(self, text: str) -> None:
        """Show a command's own help, which is no text from outside."""
        self._write(self._out, text)

    def raw(self, content: bytes) -> None:
        """Write *content* as it is, for a pipe or a file."""
        self._out.flush()
        self._out.buffer.write(content)
        self._out.buffer.flush()

    def envelope(self, kind: str, data: object) -> None:
        """Show *data* as one JSON document, in ASCII, so that any pipe carries it whole."""
        document = {"schema": SCHEMA, "kind": kind, "data": data}
        self._write(self._out, json.dumps(_without_surrogates(document), indent=2, default=str))

    def json_line(self, kind: str, data: object) -> None:
        """Show *data* as one JSON document on a line of its own, for a stream that goes on."""
        document = {"schema": SCHEMA, "kind": kind, "data": data}
        self._write(self._out, json.dumps(_without_surrogates(document), default=str))

    def table(self, headers: Sequence[str], rows: Rows, *, empty: str) -> None:
        """Show *rows*: a table on a terminal, else one line each with tabs between and no header."""
        if not rows:
            self.line(empty)
        elif self.is_terminal:
            self._console().print(draw_table(headers, rows))
        else:
            for row in rows:
                self._write(self._out, "\t".join(clean(cell) for cell in row))

    def ask(self, question: str, *, default: str = "") -> str:
        """Ask the person on the terminal; an empty answer is *default*.

        Raises ``EOFError`` when there is nobody to answer.
        """
        self._err.write(f"{clean(question)} ")
        self._err.flush()
        answer = sys.stdin.readline()
        if not answer:
            raise EOFError
        return answer.strip() or default

    @contextmanager
    def live(self, draw: Callable[[], "tuple[Sequence[str], Rows, str]"]) -> Iterator[None]:
        """Keep a table with a spinner on the terminal; *draw* gives headers, rows and the line below."""
        from rich.console import Group
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.text import Text

        spinner = Spinner("dots")

        def drawn() -> Group:
            headers, rows, below = draw()
            spinner.update(text=Text(clean(below)))
            return Group(draw_table(headers, rows), spinner)

        with Live(
            get_renderable=drawn,
            console=self._console(),
            refresh_per_second=4,
            transient=True,
        ):
            yield

    def _console(self) -> "Console":
        from rich.console import Console

        return Console(file=self._out, highlight=False, markup=False, emoji=False)

    def _write(self, stream: TextIO, line: str) -> None:
        stream.write(line + "\n")
        stream.flush()


def draw_table(headers: Sequence[str], rows: Rows) -> "Table":
    """Draw a table whose cells are plain text; a long cell is folded, never cut."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {str(key): _without_surrogates(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, os.PathLike):
        return _without_surrogates(os.fspath(value))
    return value


def make_streams_safe() -> None:
    """Let no character break the output, whatever the terminal's encoding is."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
