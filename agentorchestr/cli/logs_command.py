"""``agentorchestr logs``: what happened in a session, fact by fact."""

import time
from collections.abc import Sequence
from dataclasses import asdict, fields

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.follow import Follower
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.text import clean, shorten
from agentorchestr.model.facts import Recorded
from agentorchestr.model.view import SessionView

VALUE_CHARS = 200
# Long, and shown better elsewhere (status) or in the JSON.
_LEFT_OUT = frozenset({"nonce", "last_screen", "context", "checks"})


@click.command("logs")
@session_words
@click.option("--follow", "-f", is_flag=True, help="Go on until the session is over.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only later facts.")
@click.pass_context
def command(
    ctx: click.Context, /, *, session_id: str, project: str, as_json: bool, follow: bool, after: int
) -> int:
    """Show what happened in a session; --json gives every fact whole."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    view = wanted_session(shell, session_id)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json and follow:
        raise click.UsageError("--follow cannot go with --json; ask again with --after SEQ", ctx)
    if screen.as_json:
        facts = shell.product.read_facts(shell.paths, view.session_id, after)
        screen.envelope("logs", {"session": view.session_id, "facts": [_shape(one) for one in facts]})
        return 0
    seen = _show(screen, shell.product.read_facts(shell.paths, view.session_id, after), after)
    if follow:
        _show_more(shell, screen, view, seen)
    return 0


def _show_more(shell: Shell, screen: Screen, view: SessionView, seen: int) -> None:
    follower = Follower(shell, view.session_id)
    try:
        while not shell.product.is_finished(follower.read()):
            follower.wait(after=seen)
            seen = _show(screen, shell.product.read_facts(shell.paths, view.session_id, seen), seen)
        _show(screen, shell.product.read_facts(shell.paths, view.session_id, seen), seen)
    finally:
        follower.close()


def _show(screen: Screen, facts: Sequence[Recorded], seen: int) -> int:
    for one in facts:
        screen.line(fact_line(one))
    return facts[-1].seq if facts else seen


def fact_line(one: Recorded) -> str:
    """Give one fact as a line; a cut value ends in a mark."""
    stamp = time.strftime("%H:%M:%S", time.localtime(one.at))
    parts = [str(one.seq), stamp, type(one.fact).__name__]
    for field in fields(one.fact):
        value = getattr(one.fact, field.name)
        if value not in ("", (), None, 0, False) and field.name not in _LEFT_OUT:
            parts.append(f"{field.name}={shorten(clean(value), VALUE_CHARS)}")
    return "  ".join(parts)


def _shape(one: Recorded) -> dict[str, object]:
    return {"seq": one.seq, "at": one.at, "kind": type(one.fact).__name__, "fact": asdict(one.fact)}
