"""``agentorchestr clean``: take away what old sessions left, as far as it is merged or saved."""

from typing import TYPE_CHECKING

import click

from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.inputs import read_age
from agentorchestr.cli.render import Screen
from agentorchestr.cli.text import clean

if TYPE_CHECKING:
    from agentorchestr.wiring.cleaning import Piece

DEFAULT_AGE = "14d"


@click.command("clean")
@click.argument("session_ids", metavar="[ID]...", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only show what would go and what would stay.")
@click.option(
    "--older-than",
    metavar="TIME",
    default=DEFAULT_AGE,
    help=f"Keep the files of younger sessions for `logs`: 14d, 12h; default {DEFAULT_AGE}.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, *, session_ids: tuple[str, ...], dry_run: bool, older_than: str, as_json: bool
) -> int:
    """Remove what finished sessions left: what is merged or saved goes, the rest stays and says why.

    With ids, only these, whatever their age. A session that runs or can go on is never touched.
    """
    shell = shell_in(ctx, as_json=as_json)
    done = shell.product.clean(
        shell.paths, session_ids, dry_run=dry_run, older_than_s=read_age(older_than, option="--older-than")
    )
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        shape = {"gone": [_shape(one) for one in done.gone], "kept": [_shape(one) for one in done.kept]}
        screen.envelope("clean", {"dry_run": done.dry_run, **shape})
        return 0
    verb = "would go" if done.dry_run else "gone"
    rows = [(verb, one.session_id, one.kind, clean(one.name), clean(one.note)) for one in done.gone]
    rows += [("kept", one.session_id, one.kind, clean(one.name), clean(one.keep)) for one in done.kept]
    screen.table(("", "session", "what", "name", "why"), rows, empty="nothing to clean")
    return 0


def _shape(piece: "Piece") -> dict[str, object]:
    return {
        "session": piece.session_id,
        "kind": piece.kind,
        "name": piece.name,
        "note": piece.note,
        "why_kept": piece.keep,
    }
