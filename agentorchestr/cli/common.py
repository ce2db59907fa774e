"""What the commands that look at one session share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agentorchestr.cli.inputs import find_project
from agentorchestr.cli.product import Shell

if TYPE_CHECKING:
    from agentorchestr.model.view import SessionView

Function = TypeVar("Function", bound=Callable[..., Any])


def json_option(function: Function) -> Function:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")(function)


def session_words(function: Function) -> Function:
    """Add ``[ID]``, ``--project`` and ``--json``."""
    for add in (
        json_option,
        click.option("--project", metavar="DIR", default="", help="Whose newest session; default: this one."),
        click.argument("session_id", metavar="[ID]", default="", required=False),
    ):
        function = add(function)
    return function


def shell_in(ctx: click.Context, *, as_json: bool = False, project: str = "") -> Shell:
    """Give the shell a command was typed in, with the command's own options."""
    if not isinstance(ctx.obj, Shell):
        raise TypeError("a command was called outside of its group")
    return ctx.obj.with_options(as_json=as_json, project=project)


def wanted_session(shell: Shell, session_id: str) -> "SessionView":
    """Find the session an id, the beginning of one, or nothing (the project's newest) names.

    Raises ``UsageError`` when there is none, or more than one begins like that.
    """
    # An id is enough to find a session, even when its project is gone.
    project = shell.cwd if session_id and not shell.project else find_project(shell.project, cwd=shell.cwd)
    return shell.product.find_session(shell.paths, session_id, project)
