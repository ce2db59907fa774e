"""``agentorchestr logs``: what happened in a session, fact by fact."""

import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.follow import Follower
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.text import clean, count, shorten
from agentorchestr.model.facts import Recorded

VALUE_CHARS = 200
# Long, and shown better elsewhere (status) or in the JSON.
_LEFT_OUT = frozenset({"nonce", "last_screen", "context", "checks", "body"})


@click.command("logs")
@session_words
@click.option("--follow", "-f", is_flag=True, help="Go on until the session is over.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only later facts.")
@click.option("--export", "export_to", metavar="FILE", default="", help="Write a finished journal to a file.")
@click.option("--from", "from_file", metavar="FILE", default="", help="Read an exported journal instead.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    session_id: str,
    project: str,
    as_json: bool,
    follow: bool,
    after: int,
    export_to: str,
    from_file: str,
) -> int:
    """Show what happened in a session; --json gives every fact whole, with --follow one per line."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    screen = Screen(as_json=shell.as_json)
    if bool(from_file) + bool(export_to) + follow > 1 or (from_file and session_id):
        raise click.UsageError("an ID, --from, --export and --follow do not go together", ctx)
    if from_file:
        view, facts = shell.product.read_exported(shell.cwd / from_file)
        _show_all(screen, view.session_id, [one for one in facts if one.seq > after])
        return 0
    session_id = wanted_session(shell, session_id).session_id
    if export_to:
        _export(shell, screen, session_id, shell.cwd / export_to)
        return 0
    if follow:
        _show_more(shell, screen, session_id, after)
    else:
        _show_all(screen, session_id, shell.product.read_facts(shell.paths, session_id, after))
    return 0


def _export(shell: Shell, screen: Screen, session_id: str, file: Path) -> None:
    number = shell.product.export_session(shell.paths, session_id, file)
    if screen.as_json:
        screen.envelope("export", {"session": session_id, "file": str(file), "facts": number})
    screen.line(f"{count(number, 'fact')} of session {session_id} in {file}")


def _show_all(screen: Screen, session_id: str, facts: Sequence[Recorded]) -> None:
    if screen.as_json:
        screen.envelope("logs", {"session": session_id, "facts": [_shape(one) for one in facts]})
    for one in facts:
        screen.line(fact_line(one))


def _show_more(shell: Shell, screen: Screen, session_id: str, seen: int) -> None:
    """Show each fact as it comes: as a line, or as one JSON document on a line of its own."""
    follower = Follower(shell, session_id)
    try:
        over = False
        while not over:
            # Whether it is over is asked before the facts are read, so none comes in between.
            over = shell.product.is_finished(follower.read())
            facts = shell.product.read_facts(shell.paths, session_id, seen)
            for one in facts:
                if screen.as_json:
                    screen.json_line("fact", _shape(one))
                screen.line(fact_line(one))
            seen = facts[-1].seq if facts else seen
            if not over:
                follower.wait(after=seen)
    finally:
        follower.close()


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
