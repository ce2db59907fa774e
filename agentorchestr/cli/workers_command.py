"""``agentorchestr workers``: the lead and the workers of a session."""

import time

import click

from agentorchestr.cli.common import session_words, shell_in, wanted_session
from agentorchestr.cli.progress import HEADERS, worker_rows
from agentorchestr.cli.render import Screen
from agentorchestr.cli.shapes import mail_shape, worker_shape
from agentorchestr.cli.text import clean, clean_lines

SCREEN_LINES = 20


@click.command("workers")
@session_words
@click.pass_context
def command(ctx: click.Context, /, *, session_id: str, project: str, as_json: bool) -> int:
    """List the lead and the workers of a session."""
    shell = shell_in(ctx, as_json=as_json, project=project)
    view = wanted_session(shell, session_id)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        workers = [{**worker_shape(one), "mail": mail_shape(view, one)} for one in view.workers.values()]
        screen.envelope("workers", {"session": view.session_id, "workers": workers})
    else:
        screen.table(HEADERS, worker_rows(view, now=time.time()), empty="no worker yet")
        for worker in view.workers.values():
            if worker.quarantined:
                screen.line(
                    f"{worker.worker_id} is not started again: {clean(worker.quarantined)}; its last screen:"
                )
                for line in clean_lines(worker.last_screen)[-SCREEN_LINES:]:
                    screen.line(line, indent=2)
    return 0
