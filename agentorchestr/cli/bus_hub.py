"""``agentorchestr bus hub`` and ``hub-token``: a2a-hub clients as agents of the bus."""

import asyncio
import socket
from typing import Any

import click

from agentorchestr.bus.line import Place
from agentorchestr.bus.names import ORG
from agentorchestr.cli.bus_options import Desk, broker_words, desk_in
from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.render import Screen
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Address

PORT = 8765
"""Where a2a-hub's clients look when nothing else is said."""
NOBODY = Address(ORG, "cli", "hub")


@click.command("hub")
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=PORT,
    help=f"On 127.0.0.1; default {PORT}; 0: a free one.",
)
@broker_words
@click.pass_context
def hub(ctx: click.Context, /, *, port: int, **words: Any) -> int:
    """Let a2a-hub clients in until Ctrl-C: each is an agent of the bus, and finds agents there."""
    from agentorchestr.cli.bus_running import run_until_stopped

    desk = desk_in(ctx, words, me=NOBODY)
    run_until_stopped(_serve(desk, _bound(port)))
    desk.screen.note("the hub stopped")
    return 0


def _bound(port: int) -> socket.socket:
    from agentorchestr.mcp_server.serving import bind_loopback

    try:
        return bind_loopback(port)
    except OSError as exc:
        raise UsageError(
            f"port {port} of 127.0.0.1 cannot be used: {exc.strerror}", hint="agentorchestr bus hub --port 0"
        ) from exc


async def _serve(desk: Desk, sock: socket.socket) -> None:
    from agentorchestr.hub.hub import Hub
    from agentorchestr.hub.serving import serve_hub

    place: Place = desk.place
    started = asyncio.Event()
    hub = Hub(place.env, broker=place.broker, login_file=place.login_file)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve_hub(hub, sock, started=started))
        await started.wait()
        port = sock.getsockname()[1]
        if desk.screen.as_json:
            desk.screen.envelope("hub", {"url": f"ws://127.0.0.1:{port}", "port": port})
        desk.screen.line(f"a2a-hub clients come in at ws://127.0.0.1:{port}; Ctrl-C stops it")
        desk.screen.line("a client needs a token: agentorchestr bus hub-token NAME")


@click.command("hub-token")
@click.argument("name", metavar="NAME")
@json_option
@click.pass_context
def hub_token(ctx: click.Context, /, *, name: str, as_json: bool) -> int:
    """Make the token of the client NAME; says in which file it is, never the token itself."""
    from agentorchestr.hub.tokens import HubTokens

    shell = shell_in(ctx, as_json=as_json)
    file = HubTokens(shell.paths).file_of(name)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        screen.envelope("hub_token", {"name": name, "file": str(file)})
    screen.line(str(file))
    return 0
