"""``agentorchestr demo``: the whole thing on a sample repository, with the practice agent."""

import secrets
from pathlib import Path

import click

from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.requesting import need_programs
from agentorchestr.cli.start import choose_attach, run_session
from agentorchestr.errors import UsageError
from agentorchestr.model.request import SessionRequest
from agentorchestr.paths import ensure_private
from agentorchestr.practice.sample import DEMO_CHECKS, DEMO_GOAL, make_sample
from agentorchestr.verify.detect import checks_from_option

PRACTICE = "practice"
DEMO_LIMIT_S = 300.0


@click.command("demo")
@click.option("--attach/--no-attach", default=None, help="Show the tmux window; default: on a terminal.")
@click.option("--keep", metavar="DIR", default="", help="Make the sample repository in DIR (new or empty).")
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, attach: bool | None, keep: str, as_json: bool) -> int:
    """See a lead and its workers carry a goal to a verified branch, in about a minute."""
    shell = shell_in(ctx, as_json=as_json)
    wants_attach = choose_attach(shell, asked=attach)
    need_programs(shell, tmux=True)
    screen = Screen(as_json=shell.as_json)
    project = make_sample(sample_folder(shell, keep))
    screen.line(f"sample repository: {project}")
    return run_session(shell, screen, demo_request(shell, project), wants_attach=wants_attach)


def sample_folder(shell: Shell, keep: str) -> Path:
    """Give the folder for the sample: a new one of ours, or *keep* when it is new or empty.

    Raises ``UsageError`` for a folder that holds something.
    """
    if not keep:
        return ensure_private(shell.paths.state / "demo") / secrets.token_hex(3)
    folder = (shell.cwd / keep).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--keep {folder} is not empty", hint="give a new directory: --keep DIR")
    return folder


def demo_request(shell: Shell, project: Path) -> SessionRequest:
    """Ask for the goal of the sample. It is our own repository, so nobody is asked to trust it."""
    return SessionRequest(
        goal=DEMO_GOAL,
        project=project,
        lead_agent=PRACTICE,
        worker_agents=(PRACTICE,),
        checks=checks_from_option(DEMO_CHECKS),
        timeout_s=DEMO_LIMIT_S,
        environment=dict(shell.env),
    )
