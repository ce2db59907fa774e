"""``agentorchestr attach``: go to the tmux window of a session."""

import click

from agentorchestr.cli.attaching import attach
from agentorchestr.cli.common import shell_in, wanted_session
from agentorchestr.cli.render import Screen
from agentorchestr.errors import UsageError


@click.command("attach")
@click.argument("session_id", metavar="[ID]", default="", required=False)
@click.option("--project", metavar="DIR", default="", help="Whose newest session; default: this one.")
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str, project: str) -> int:
    """Go to a session's tmux window; inside tmux, in a new window of yours."""
    shell = shell_in(ctx, project=project)
    view = wanted_session(shell, session_id)
    if not shell.on_terminal:
        raise UsageError(
            "attach needs a terminal", hint=f"look without one: agentorchestr status {view.session_id}"
        )
    if not attach(shell, view.session_id):
        Screen().line(f"session {view.session_id} is shown in another window")
    return 0
