"""``agentorchestr supervise``: the supervisor's own process. tmux starts it, and starts it again."""

import click

from agentorchestr.cli.common import shell_in
from agentorchestr.cli.render import Screen
from agentorchestr.cli.report import report_lines


@click.command("supervise", hidden=True)
@click.argument("session_id")
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str) -> int:
    """Look after a session until it ends, and leave its result in this window."""
    shell, screen = shell_in(ctx), Screen()
    screen.line(f"supervisor of session {session_id}; the team is in the window beside this one")
    view = shell.product.run_supervisor(session_id, shell.paths)
    if view is None:
        return 0
    for indent, line in report_lines(view):
        screen.line(line, indent=indent)
    shell.product.let_terminals_go(session_id, shell.paths)
    return 0
