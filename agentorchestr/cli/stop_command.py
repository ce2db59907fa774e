"""``agentorchestr stop``: end a session, and what is left of one that is over."""

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.render import Screen
from agentorchestr.cli.report import report_lines
from agentorchestr.cli.shapes import report_shape
from agentorchestr.cli.stopping import stop


@click.command("stop")
@session_words
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str, project: str, as_json: bool) -> int:
    """Stop a session and remove its tmux session; branches and unsaved work are kept."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    view = stop(shell, wanted_session(shell, session_id).session_id)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        screen.envelope("stop", report_shape(view, alive=False))
    for indent, line in report_lines(view):
        screen.line(line, indent=indent)
    return 0
