"""``agentorchestr stop``: end a session, and what is left of one that is over."""

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.control import Control
from agentorchestr.cli.latest import Latest
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.report import report_lines
from agentorchestr.cli.shapes import report_shape
from agentorchestr.clock import until
from agentorchestr.model.view import SessionView

ENDING_S = 60.0
"""Saving a large worktree takes a while."""


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


def stop(shell: Shell, session_id: str) -> SessionView:
    """Let a living supervisor end the session properly, then take away what is left of it.

    Raises ``SupervisorUnreachable`` for one that lives and does not answer.
    """
    latest = Latest(shell, session_id)

    def is_over() -> bool:
        return shell.product.is_finished(latest.read())

    control = Control(shell, session_id)
    try:
        if not is_over() and control.stop():
            until(is_over, within_s=ENDING_S, every_s=0.05)
    finally:
        control.close()
    return shell.product.stop_session(shell.paths, session_id)
