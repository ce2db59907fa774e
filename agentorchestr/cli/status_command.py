"""``agentorchestr status``: one session as it is now."""

import time

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.progress import HEADERS, worker_rows
from agentorchestr.cli.render import Screen
from agentorchestr.cli.report import report_lines
from agentorchestr.cli.sessions_command import is_alive
from agentorchestr.cli.shapes import report_shape, session_state
from agentorchestr.cli.text import clean, clean_lines, took
from agentorchestr.model.request import A2A_HUB

GOAL_LINES = 5


@click.command("status")
@session_words
@click.option("--from", "from_file", metavar="FILE", default="", help="Show an exported journal instead.")
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str, project: str, as_json: bool, from_file: str) -> int:
    """Show a session: the newest of this project, or the one with this ID."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    if from_file and session_id:
        raise click.UsageError("an ID and --from do not go together", ctx)
    if from_file:
        view, _ = shell.product.read_exported(shell.cwd / from_file)
    else:
        view = wanted_session(shell, session_id)
    alive = is_alive(shell, view)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        screen.envelope("status", report_shape(view, alive=alive))
        return 0
    goal = clean_lines(view.created.goal)
    for line in goal[:GOAL_LINES]:
        screen.line(line)
    if len(goal) > GOAL_LINES:
        screen.line(f"… {len(goal) - GOAL_LINES} more lines: agentorchestr status {view.session_id} --json")
    screen.table(HEADERS, worker_rows(view, now=time.time()), empty="no worker yet")
    if view.off_bus:
        screen.line(clean(view.off_bus))
    if alive and A2A_HUB in view.created.bus_compat:
        screen.line(f"a2a-hub clients come in at ws://127.0.0.1:{view.port}")
    if view.outcome is not None:
        for indent, line in report_lines(view):
            screen.line(line, indent=indent)
        return 0
    state = session_state(view, alive=alive)
    screen.line(f"session {view.session_id} {state} for {took(max(0.0, time.time() - view.created_at))}")
    if not alive:
        found = shell.product.resumable(shell.paths, view)
        screen.line(f"nobody looks after it: {found.why}")
        if found.ok:
            screen.line(f"go on with it: agentorchestr --resume {view.session_id}")
        screen.line(f"end it for good: agentorchestr stop {view.session_id}")
    return 0
