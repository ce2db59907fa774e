"""``agentorchestr supervise``: the supervisor's own process. tmux starts it, and starts it again."""

import click

from agentorchestr.cli.common import shell_in
from agentorchestr.cli.render import Screen
from agentorchestr.cli.report import report_lines


@click.command("supervise", hidden=True)
@click.argument("session_id")
@click.option("--give-up", is_flag=True, help="It fell too often: end its agents as a pause does.")
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str, give_up: bool) -> int:
    """Look after a session until it ends, and leave its result in this window."""
    shell, screen = shell_in(ctx), Screen()
    if give_up:
        shell.product.give_up_session(shell.paths, session_id)
        return 0
    screen.line(f"supervisor of session {session_id}; the team is in the window beside this one")
    view = shell.product.run_supervisor(session_id, shell.paths)
    if view is None:
        return 0
    for indent, line in report_lines(view):
        screen.line(line, indent=indent)
    shell.product.let_terminals_go(session_id, shell.paths)
    return 0
