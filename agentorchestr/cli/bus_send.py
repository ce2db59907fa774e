"""``agentorchestr bus send``: on disk first, then on its way; fast, because agents call it from a shell."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from agentorchestr.bus.letters import Options, apart, make_letter
from agentorchestr.bus.line import Place
from agentorchestr.bus.names import address_of, receivers_of
from agentorchestr.bus.quick import send_now, wait_in_store
from agentorchestr.bus.shapes import standing_shape
from agentorchestr.cli.bus_options import Desk, bus_words, desk_in, path_of, seconds
from agentorchestr.cli.bus_showing import standing_line
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import INLINE_BYTES, Letter, LetterState, Standing
from agentorchestr.swarm.artifacts import ARTIFACT_BYTES

WAITS = ("sent", "received", "read", "acted")
WAIT_S = 30.0
EXIT_FAILED = 2
OUTBOX_VARIABLE = "AGENTORCHESTR_OUTBOX"


@click.command("send")
@click.argument("to", metavar="TO")
@click.argument("body", metavar="[BODY]", required=False)
@click.option("--file", "body_file", metavar="FILE", default="", help="The body from a file; - is stdin.")
@click.option("--subject", metavar="TEXT", default="", help="One line, at most 200 characters.")
@click.option("--priority", metavar="WORD", default="normal", help="low, normal, high; open for others.")
@click.option("--content-type", metavar="TYPE", default="text/plain", help="Default: text/plain.")
@click.option("--reply-to", metavar="AGENT", default="", help="Who gets the answer; default: you.")
@click.option("--thread", metavar="ID", default="", help="What the message belongs to.")
@click.option("--answers", metavar="ID", default="", help="The message this one answers.")
@click.option("--expires", metavar="TIME", default="", help="Of no use after this time: 30s, 5m, 1h.")
@click.option("--wait", "wait", type=click.Choice(WAITS), default=None, help="Wait until it is that far.")
@click.option("--timeout", metavar="TIME", default="", help="How long --wait waits; default 30s.")
@click.option(
    "--outbox", metavar="FILE", default="", help="Note what was sent in this file; {agent_id} is you."
)
@bus_words
@click.pass_context
def send(
    ctx: click.Context, /, *, to: str, body: str | None, body_file: str, outbox: str, **words: Any
) -> int:
    """Send a message to one agent, to many (a,b,c), or to all. The body comes from BODY, --file or stdin."""
    desk = desk_in(ctx, words)
    options = Options(
        subject=words["subject"],
        content_type=words["content_type"],
        priority=words["priority"],
        reply_to=address_of(words["reply_to"]) if words["reply_to"] else None,
        thread=words["thread"],
        answers=words["answers"],
        expires_s=seconds(words["expires"], default=0.0),
    )
    text, options = _inside(desk, *body_of(desk, body, body_file), options)
    letters = [make_letter(desk.place.me, one, text, options) for one in receivers_of(to.split(","))]
    noted = outbox_file(desk, outbox)
    standings = _send(desk.place, letters, words["wait"], seconds(words["timeout"], default=WAIT_S))
    if noted is not None:
        _note(noted, letters)
    return _answer(desk, standings, wanted=words["wait"])


def _send(place: Place, letters: Sequence[Letter], wanted: str | None, timeout_s: float) -> list[Standing]:
    if wanted is None or wanted == LetterState.SENT:
        return send_now(place, letters)
    state = LetterState(wanted)
    if not place.home.ring():
        # Nobody of our name is there to take the receipt, so we are, until it came.
        from agentorchestr.cli.bus_running import send_and_wait

        return send_and_wait(place, letters, state, timeout_s=timeout_s)
    send_now(place, letters)
    with place.home.open_store() as store:
        return [wait_in_store(store, letter, state, timeout_s=timeout_s) for letter in letters]


def _answer(desk: Desk, standings: Sequence[Standing], *, wanted: str | None) -> int:
    if desk.screen.as_json:
        desk.screen.envelope("sent", {"letters": [standing_shape(standing) for standing in standings]})
    for standing in standings:
        desk.screen.line(standing_line(standing))
    order = list(LetterState)
    reached = all(
        standing.state not in {LetterState.REFUSED, LetterState.EXPIRED}
        and (wanted is None or order.index(standing.state) >= order.index(LetterState(wanted)))
        for standing in standings
    )
    return 0 if reached else EXIT_FAILED


def body_of(desk: Desk, body: str | None, name: str) -> tuple[bytes, str]:
    """The body and what it was called. Raises ``UsageError``."""
    if body is not None and name:
        raise UsageError("a body is given twice", hint="give BODY or --file")
    if body is not None:
        return os.fsencode(body), ""
    if name and name != "-":
        return _read(path_of(desk.shell, name), name), Path(name).name
    if not name and sys.stdin.isatty():
        raise UsageError("no body was given", hint='agentorchestr bus send TO "text", --file FILE, or a pipe')
    return sys.stdin.buffer.read(ARTIFACT_BYTES + 1), ""


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(ARTIFACT_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"the body cannot be read: {name}: {exc.strerror}") from exc


def _inside(desk: Desk, raw: bytes, name: str, options: Options) -> tuple[str, Options]:
    """The body as it stands in the letter: what is large or no text is kept apart and named there."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as exc:
        if not name:
            where = f"at byte {exc.start + 1}"
            raise UsageError(f"the body is not UTF-8 ({where})", hint="send other data with --file") from exc
        text = ""
    if len(raw) <= INLINE_BYTES and (text or not raw):
        return text, options
    return apart(desk.place.shelf, raw, options, name=name, is_text=bool(text))


def outbox_file(desk: Desk, given: str) -> Path | None:
    """The file that what was sent is noted in: ``--outbox``, this agent's own variable, or everybody's."""
    me = desk.place.me.agent
    own = f"{OUTBOX_VARIABLE}_{''.join(c if c.isalnum() else '_' for c in me).upper()}"
    # An empty variable is as good as none.
    template = given or desk.shell.env.get(own, "") or desk.shell.env.get(OUTBOX_VARIABLE, "")
    return path_of(desk.shell, template.replace("{agent_id}", me)) if template else None


def _note(path: Path, letters: Sequence[Letter]) -> None:
    from agentorchestr.bus.file_bridge import FileBridge

    bridge = FileBridge(path, sent=True)
    for letter in letters:
        bridge(letter)
