"""``agentorchestr pause``: end a session's agents for now, to go on later."""

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.pausing import pause
from agentorchestr.cli.render import Screen
from agentorchestr.cli.report import report_lines
from agentorchestr.cli.shapes import report_shape


@click.command("pause")
@session_words
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str, project: str, as_json: bool) -> int:
    """End the agents of a session and keep everything else; agentorchestr --resume goes on."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    view = pause(shell, wanted_session(shell, session_id).session_id)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        screen.envelope("pause", report_shape(view, alive=False))
    for indent, line in report_lines(view):
        screen.line(line, indent=indent)
    return 0
