"""The command ``agentorchestr``: its options, its table of commands, and the border all faults stop at.

Only click is imported here; a command's module is loaded when the command runs.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from agentorchestr import __version__
from agentorchestr.errors import OrchestrError

PROGRAM = "agentorchestr"
EXIT_USAGE = 1
EXIT_INTERRUPTED = 130


class Row(NamedTuple):
    """One command: where it lives, and its line in the help text."""

    module: str
    help: str


COMMANDS: dict[str, Row] = {
    "demo": Row("demo", "See the whole thing on a sample repository, without keys."),
    "status": Row("status_command", "Show a session."),
    "attach": Row("attach_command", "Go to a session's tmux window."),
    "logs": Row("logs_command", "Show what happened in a session."),
    "pause": Row("pause_command", "Pause a session; agentorchestr --resume goes on."),
    "stop": Row("stop_command", "Stop a session; its branches stay."),
    "land": Row("land_command", "Bring a session's result to your branch."),
    "workers": Row("workers_command", "List the lead and the workers of a session."),
    "worker": Row("worker_command", "Used by agents: report on a task."),
    "sessions": Row("sessions_command", "List sessions (as --list-sessions)."),
    "snapshots": Row("snapshots_command", "List, show and restore what was saved before a removal."),
    "clean": Row("clean_command", "Remove what old sessions left, if it is merged or saved."),
    "bus": Row("bus_command", "Let agents talk: send, read, list, ask, start …"),
    "doctor": Row("doctor_command", "Say whether a goal would start (as --doctor)."),
}
HIDDEN: dict[str, Row] = {"supervise": Row("supervise_command", "Started by us, in a tmux window.")}


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads one only to run it."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]  # noqa: ARG002  # click's signature, less standalone_mode; the name is ours
        """Run, show every fault as one line with a hint, and exit with our exit codes."""
        from agentorchestr.cli.render import Screen, make_streams_safe

        make_streams_safe()
        extra.pop("standalone_mode", None)
        screen = Screen()
        try:
            code = super().main(args, PROGRAM, standalone_mode=False, **extra)
        except click.UsageError as exc:
            command = exc.ctx.command_path if exc.ctx else PROGRAM
            screen.problem(exc.format_message(), hint=getattr(exc, "hint", "") or f"{command} --help")
            code = EXIT_USAGE
        except click.ClickException as exc:
            screen.problem(exc.format_message())
            code = EXIT_USAGE
        except (click.Abort, KeyboardInterrupt, EOFError):
            screen.note("interrupted")
            code = EXIT_INTERRUPTED
        except OrchestrError as exc:
            screen.problem(exc, hint=exc.hint)
            code = EXIT_USAGE
        except Exception as exc:  # noqa: BLE001  # the last border: a fault of ours becomes one line
            from agentorchestr.cli.crash import keep_crash

            screen.problem(f"fault in agentorchestr: {type(exc).__name__}: {exc}", hint=keep_crash(exc))
            code = EXIT_USAGE
        sys.exit(code if isinstance(code, int) else 0)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let ``--agents`` take several values."""
        from agentorchestr.cli.words import spread_agents

        takes_value = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag and not param.count
            for name in param.opts
        }
        return super().parse_args(ctx, spread_agents(args, with_value=takes_value))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Give the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Load the module of one command."""
        row = COMMANDS.get(cmd_name) or HIDDEN.get(cmd_name)
        if row is None:
            return None
        command = import_module(f"agentorchestr.cli.{row.module}").command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which command was meant when there is none of that name."""
        if args[0] not in COMMANDS and args[0] not in HIDDEN:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            fault = click.UsageError(f"no such command: {args[0]}", ctx)
            fault.hint = (  # type: ignore[attr-defined]  # read again in main
                f"did you mean: agentorchestr {near[0]}" if near else 'a goal is given with --goal "…"'
            )
            raise fault
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """List the commands from the table, without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.help) for name, row in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 goal done, 1 usage or missing program, 2 failed, 3 unverified, "
    "4 cancelled or paused, 130 interrupted.",
)
@click.option("--goal", metavar="TEXT", help="What the team shall reach.")
@click.option("--goal-file", metavar="FILE", help="The goal from a UTF-8 file.")
@click.option("--interactive", is_flag=True, help="Paste a goal of many lines; /end submits it.")
@click.option("--manual", is_flag=True, help="One agent, one worktree, no lead; needs --task.")
@click.option("--task", metavar="TEXT", help="The task of a manual session.")
@click.option("--agent", metavar="NAME", help="The agent of a manual session.")
@click.option("--role", metavar="ROLE", help="The role of a manual session's agent.")
@click.option("--agents", multiple=True, metavar="NAME...", help="Use only these agents (several, or a,b).")
@click.option("--lead", metavar="NAME", help="The agent that leads; one of --agents.")
@click.option("--project", metavar="DIR", default="", help="The repository; default: this directory.")
@click.option("--base", metavar="BRANCH", default="", help="Start from this branch or commit.")
@click.option("--include-dirty", is_flag=True, help="Start from your uncommitted changes, too.")
@click.option("--max-workers", type=int, metavar="N", help="Workers at once, 1 to 32; default 4.")
@click.option("--checks", multiple=True, metavar="CMD", help="A command that checks the project; repeatable.")
@click.option("--timeout", metavar="TIME", default="", help="End after this time: 2h, 30m, 90s, 1h30m.")
@click.option("--broker", metavar="URL", default="", help="Talk over this MQTT broker, not a private one.")
@click.option("--bus-compat", metavar="NAME", multiple=True, help="Let in agents of swarmbus, a2a-hub.")
@click.option("--land", is_flag=True, help="Bring the verified result to your branch.")
@click.option("--attach/--no-attach", default=None, help="Show the tmux window; default: on a terminal.")
@click.option("--trust", is_flag=True, help="Allow this repository's commands to run.")
@click.option("--git-init", is_flag=True, help="Make the project a git repository first.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[ID]",
    help="Go on with a session that was paused or cut off; default: the newest that can.",
)
@click.option("--list-sessions", is_flag=True, help="List sessions, newest first.")
@click.option("--detect", is_flag=True, help="Show which agents and programs are there.")
@click.option("--doctor", is_flag=True, help="Say whether a goal would start.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.version_option(__version__, "--version", prog_name="agentorchestr", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, **given: Any) -> int:
    """Give one goal to a team of coding agents; get a verified branch."""
    from agentorchestr.cli.dispatch import refuse_beside_command, run, shell_of
    from agentorchestr.cli.options import Options
    from agentorchestr.cli.render import Screen

    options = Options(**given)
    ctx.obj = shell_of(ctx.obj, options)
    if ctx.invoked_subcommand is not None:
        refuse_beside_command(options, ctx.invoked_subcommand)
        return 0
    if options == Options():
        Screen().help(ctx.get_help())
        return 0
    return run(ctx.obj, options)


def main() -> None:
    """Enter here from the console script."""
    cli()
