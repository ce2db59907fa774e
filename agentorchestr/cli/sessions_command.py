"""``agentorchestr sessions``: every session of this person, newest first."""

import time

import click

from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.shapes import listed_shape, session_state
from agentorchestr.cli.text import clean, shorten
from agentorchestr.model.resume import Resumable
from agentorchestr.model.view import SessionView

GOAL_CHARS = 80
WHY_CHARS = 60


@click.command("sessions")
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool) -> int:
    """List sessions, newest first."""
    return show_sessions(shell_in(ctx, as_json=as_json))


def show_sessions(shell: Shell) -> int:
    """Show every session; always 0."""
    screen = Screen(as_json=shell.as_json)
    found = [(view, is_alive(shell, view)) for view in shell.product.list_sessions(shell.paths)]
    hidden = shell.product.unreadable_sessions(shell.paths, [view.session_id for view, _ in found])
    if hidden:
        screen.note(f"cannot be read, so not shown: {', '.join(hidden)}")
    if screen.as_json:
        rows = [listed_shape(view, _resumable(shell, view), alive=alive) for view, alive in found]
        screen.envelope("sessions", rows)
        return 0
    screen.table(
        ("session", "state", "resume", "started", "workers", "project", "goal"),
        [
            (
                view.session_id,
                session_state(view, alive=alive),
                _flag(_resumable(shell, view)),
                time.strftime("%Y-%m-%d %H:%M", time.localtime(view.created_at)),
                len(view.team),
                view.created.project,
                shorten(clean(view.created.goal), GOAL_CHARS),
            )
            for view, alive in found
        ],
        empty='no sessions yet; start one: agentorchestr --goal "…"',
    )
    return 0


def _resumable(shell: Shell, view: SessionView) -> Resumable:
    return shell.product.resumable(shell.paths, view)


def _flag(found: Resumable) -> str:
    return shorten(clean(f"yes: {found.why}" if found.ok else f"no: {found.why}"), WHY_CHARS)


def is_alive(shell: Shell, view: SessionView) -> bool:
    """Whether somebody looks after this session now."""
    return not shell.product.is_finished(view) and shell.product.looked_after(view)
