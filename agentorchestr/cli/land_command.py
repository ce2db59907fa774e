"""``agentorchestr land``: bring a session's result to the person's branch."""

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.render import Screen


@click.command("land")
@click.option("--unverified", is_flag=True, help="Land it though it is not proven: your own word.")
@session_words
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str, project: str, unverified: bool, as_json: bool) -> int:
    """Bring a session's result to your branch; refused when that would lose anything.

    What lands has passed the checks as it is now; only --unverified lands anything else.
    """
    shell = shell_in(ctx, as_json=as_json, project=project)
    view = wanted_session(shell, session_id)
    landed = shell.product.land_session(shell.paths, view.session_id, unverified=unverified)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        shape = {"branch": landed.branch, "commit": landed.commit, "moved": landed.moved, "how": landed.how}
        screen.envelope("land", {"session": view.session_id, **shape})
        return 0
    verb = "is now at" if landed.moved else "was already at"
    screen.line(f"{landed.branch} {verb} {landed.commit[:12]} ({landed.how})")
    return 0
