"""``agentorchestr bus``: agents talk to one another; its table of verbs, each loaded when it runs."""

from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

import click


class Verb(NamedTuple):
    """One verb: the module it lives in, its name there, and its line in the help text."""

    module: str
    name: str
    help: str


VERBS: dict[str, Verb] = {
    "up": Verb("bus_broker", "up", "Start the private broker; it stays until down."),
    "down": Verb("bus_broker", "down", "End the private broker; what it keeps stays on disk."),
    "doctor": Verb("bus_broker", "doctor", "Try out what the broker can do."),
    "init": Verb("bus_start", "init", "Make an agent's mailbox and login, or its systemd unit."),
    "start": Verb("bus_start", "start", "Receive for an agent: into a file, into a command."),
    "send": Verb("bus_send", "send", "Send a message to one agent, to many, or to all."),
    "read": Verb("bus_read", "read", "Show new messages, each once."),
    "watch": Verb("bus_read", "watch", "Wait for one new message."),
    "tail": Verb("bus_read", "tail", "Show the last messages, or all since the last time."),
    "fetch": Verb("bus_fetch", "fetch", "Fetch the large body of a message."),
    "delegate": Verb("bus_delegate", "delegate", "Give a task to an agent, or to whoever can do it."),
    "list": Verb("bus_list", "list_agents", "List the agents on the broker."),
    "status": Verb("bus_status", "status", "Show how far a message of yours got."),
    "ask": Verb("bus_ask", "ask", "Ask an agent and show its answer."),
    "tasks": Verb("bus_ask", "tasks", "List the tasks an agent gave to others, or was given."),
    "hub": Verb("bus_hub", "hub", "Let a2a-hub clients in by WebSocket, as agents of the bus."),
    "hub-token": Verb("bus_hub", "hub_token", "Make the token that an a2a-hub client comes in with."),
    "mcp-server": Verb("bus_mcp", "mcp_server", "Give any MCP client an inbox (on stdin and stdout)."),
}


class BusGroup(click.Group):
    """Knows its verbs by name and loads one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Give the names in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Load the module of one verb."""
        verb = VERBS.get(cmd_name)
        if verb is None:
            return None
        found = getattr(import_module(f"agentorchestr.cli.{verb.module}"), verb.name)
        return found if isinstance(found, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which verb was meant when there is none of that name."""
        if args[0] not in VERBS:
            near = get_close_matches(args[0], VERBS, n=1)
            fault = click.UsageError(f"no such command: bus {args[0]}", ctx)
            fault.hint = f"did you mean: agentorchestr bus {near[0]}" if near else "agentorchestr bus --help"  # type: ignore[attr-defined]  # read in main
            raise fault
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """List the verbs from the table, without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


@click.group(cls=BusGroup, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context, /) -> int:
    """Let agents talk: messages, presence, questions and tasks over MQTT."""
    if ctx.invoked_subcommand is None:
        from agentorchestr.cli.render import Screen

        Screen().help(ctx.get_help())
    return 0
