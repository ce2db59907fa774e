"""``agentorchestr bus init`` and ``start``: an agent that receives."""

import asyncio
import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from agentorchestr.bus.line import Place
from agentorchestr.bus.names import short_name
from agentorchestr.bus.unit import unit_name, unit_text
from agentorchestr.cli.bus_options import AGENT_VARIABLE, Desk, bus_words, desk_in, path_of, seconds
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Skill
from agentorchestr.model.swarmbus import is_neighbour

if TYPE_CHECKING:
    from agentorchestr.bus.bus import Bus
    from agentorchestr.bus.command import Command

LIMITS = click.IntRange(1, 64)


def _receiving(function: Any) -> Any:
    """Add what an agent does with its letters."""
    for add in (
        click.option("--description", metavar="TEXT", default="", help="Who you are, for others."),
        click.option("--skill", "skills", metavar="NAME", multiple=True, help="What you can do; repeatable."),
        click.option("--at-once", metavar="N", type=LIMITS, default=1, help="Commands at a time; default 1."),
        click.option("--time-limit", metavar="TIME", default="", help="For one command; default 5m."),
        click.option("--archive", metavar="FILE", default="", help="Keep every message in this SQLite file."),
        click.option(
            "--invoke", metavar="CMD", default="", help="Run it for each message; the body is its stdin."
        ),
        click.option(
            "--inbox", metavar="FILE", default="", help="Append each message to this markdown file."
        ),
    ):
        function = add(function)
    return function


@click.command("init")
@_receiving
@click.option("--systemd", is_flag=True, help="Print a systemd user unit and do nothing else.")
@bus_words
@click.pass_context
def init(ctx: click.Context, /, *, systemd: bool, **words: Any) -> int:
    """Make an agent's mailbox and its login, so that it can be written to; or print its systemd unit."""
    desk = desk_in(ctx, words)
    if systemd:
        text = unit_text(desk.place.me, _start_argv(desk, words))
        if desk.screen.as_json:
            desk.screen.envelope("unit", {"name": unit_name(desk.place.me), "text": text})
        for line in text.splitlines():
            desk.screen.line(line)
        return 0
    if is_neighbour(desk.place.me):
        return _let_in(desk)
    _first_visit(desk.place)
    name = short_name(desk.place.me)
    folder = desk.place.home.folder
    if desk.screen.as_json:
        desk.screen.envelope("mailbox", {"agent": name, "address": str(desk.place.me), "folder": str(folder)})
    desk.screen.line(f"{name} has a mailbox in {folder}")
    desk.screen.line(f"receive:  agentorchestr bus start --agent-id {name} --inbox FILE")
    return 0


def _let_in(desk: Desk) -> int:
    """Make a login for an agent of swarmbus, in a file that its own client can take it from."""
    from agentorchestr.bus.swarmbus_login import make_swarmbus_login

    made = make_swarmbus_login(desk.place)
    if desk.screen.as_json:
        login = {"agent": made.name, "user": made.user, "port": made.port, "file": str(made.file)}
        desk.screen.envelope("swarmbus_login", login)
    desk.screen.line(f"{made.name} of swarmbus may come in; its login is in {made.file}")
    where = f"--agent-id {made.name} --broker 127.0.0.1 --port {made.port}"
    desk.screen.line(f"set -a; . {shlex.quote(str(made.file))}; set +a", indent=2)
    desk.screen.line(f"swarmbus start {where} --inbox {made.name}.md", indent=2)
    return 0


def _first_visit(place: Place) -> None:
    """Be at the broker once, which keeps what comes from then on."""
    from agentorchestr.cli.bus_running import bus_of

    async def visit() -> None:
        async with bus_of(place) as bus:
            await bus.caught_up()

    asyncio.run(visit())


def _start_argv(desk: Desk, words: Mapping[str, Any]) -> list[str]:
    """The command that a unit runs: as typed here, with whole paths."""
    argv = [sys.executable, "-m", "agentorchestr", "bus", "start", "--agent-id", str(desk.place.me)]
    for option in ("broker", "bus_compat", "invoke", "time_limit", "description"):
        if words[option]:
            argv += [f"--{option.replace('_', '-')}", words[option]]
    for option in ("inbox", "archive", "login_file"):
        if words[option]:
            argv += [f"--{option.replace('_', '-')}", str(path_of(desk.shell, words[option]))]
    for skill in words["skills"]:
        argv += ["--skill", skill]
    return [*argv, "--at-once", str(words["at_once"])]


@click.command("start")
@_receiving
@bus_words
@click.pass_context
def start(ctx: click.Context, /, **words: Any) -> int:
    """Receive for an agent until Ctrl-C; without --inbox and --invoke, messages wait to be read."""
    from agentorchestr.cli.bus_running import run_until_stopped

    desk = desk_in(ctx, words)
    run_until_stopped(_receive(desk, words))
    desk.screen.note(f"{short_name(desk.place.me)} stopped")
    return 0


async def _receive(desk: Desk, words: Mapping[str, Any]) -> None:
    from agentorchestr.bus.file_bridge import FileBridge
    from agentorchestr.bus.handlers import Archive, Chain
    from agentorchestr.cli.bus_running import bus_of

    handlers: list[Any] = []
    if words["inbox"]:
        handlers.append(FileBridge(path_of(desk.shell, words["inbox"])))
    if words["archive"]:
        handlers.append(Archive(path_of(desk.shell, words["archive"])))
    command = _command(desk, words) if words["invoke"] else None
    if command is not None:
        handlers.append(command)
    skills = [Skill(name) for name in words["skills"]]
    async with bus_of(
        desk.place,
        takes_answers=False,
        skills=skills,
        description=words["description"],
        slots=words["at_once"] if command is not None and skills else 0,
    ) as bus:
        _say(desk, words)
        if command is not None:
            await _work(bus, Chain(*handlers), command, words)
        elif handlers:
            await bus.hand_over(Chain(*handlers))
        await asyncio.Event().wait()


async def _work(bus: "Bus", handler: Any, command: "Command", words: Mapping[str, Any]) -> None:
    """Run the command for letters, and for tasks that ask for a skill of ours."""
    from agentorchestr.bus.agent import Tasks

    works = {name: (Skill(name), command.do) for name in words["skills"]}
    async with asyncio.TaskGroup() as group:
        group.create_task(Tasks(bus, works).run())
        group.create_task(bus.serve(handler, limit=words["at_once"]))


def _command(desk: Desk, words: Mapping[str, Any]) -> "Command":
    from agentorchestr.bus.command import LIMIT_S, Command

    try:
        argv = shlex.split(words["invoke"])
    except ValueError as exc:
        raise UsageError(f"--invoke cannot be read: {exc}", hint="quote it as in a shell") from exc
    if not argv:
        raise UsageError("--invoke names no command")
    # The command writes as this agent unless it says otherwise.
    env = {**desk.shell.env, AGENT_VARIABLE: str(desk.place.me)}
    return Command(
        argv,
        folder=desk.place.home.folder / "runs",
        env=env,
        limit_s=seconds(words["time_limit"], default=LIMIT_S),
    )


def _say(desk: Desk, words: Mapping[str, Any]) -> None:
    name = short_name(desk.place.me)
    if desk.screen.as_json:
        desk.screen.envelope("started", {"agent": name, "address": str(desk.place.me)})
    desk.screen.line(f"{name} receives; Ctrl-C stops it")
    for option, what in (
        ("inbox", "into the file"),
        ("archive", "into the archive"),
        ("invoke", "into the command"),
    ):
        if words[option]:
            desk.screen.line(f"{what} {words[option]}", indent=2)
