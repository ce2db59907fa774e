"""``agentorchestr bus up``, ``down`` and ``doctor``: the broker itself."""

import asyncio
from dataclasses import asdict, replace
from typing import Any

import click

from agentorchestr.bus.line import COMPAT_VARIABLE, Place, open_line
from agentorchestr.bus.names import ORG
from agentorchestr.cli.bus_options import broker_words, compat_option, desk_in
from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.named_broker import keep_quiet
from agentorchestr.cli.render import Screen
from agentorchestr.errors import BusError
from agentorchestr.model.broker import BrokerAbilities, ability_rows
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import ensure_broker, stop_broker
from agentorchestr.mqtt.endpoint import address_of_login
from agentorchestr.mqtt.logins import open_to_swarmbus
from agentorchestr.mqtt.probe import probe_broker

EXIT_FAILED = 2
PROBE = Address(ORG, "cli", "doctor")


@click.command("up")
@compat_option
@json_option
@click.pass_context
def up(ctx: click.Context, /, *, bus_compat: str | None, as_json: bool) -> int:
    """Start the private broker, or find it; it stays until down."""
    shell = shell_in(ctx, as_json=as_json)
    compat = bool(bus_compat or shell.env.get(COMPAT_VARIABLE))
    ensure_broker(shell.paths, stays=True)
    port = open_to_swarmbus(shell.paths) if compat else 0
    handle = ensure_broker(shell.paths, stays=True)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        listening = {"unix": str(handle.endpoint_unix), "tcp": str(handle.endpoint_tcp)}
        screen.envelope("broker", {"pid": handle.pid, **listening, "swarmbus_port": port or None})
    screen.line(f"the broker runs (pid {handle.pid}) at {handle.endpoint_tcp} and {handle.endpoint_unix}")
    if port:
        screen.line(f"agents of swarmbus come in at 127.0.0.1, port {port}; a login for each:")
        screen.line("agentorchestr bus init --bus-compat swarmbus --agent-id swarmbus/NAME", indent=2)
    screen.line("end it with: agentorchestr bus down")
    return 0


@click.command("down")
@json_option
@click.pass_context
def down(ctx: click.Context, /, *, as_json: bool) -> int:
    """End the private broker; what it keeps stays on disk for the next time."""
    shell = shell_in(ctx, as_json=as_json)
    ran = stop_broker(shell.paths)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        screen.envelope("broker", {"ran": ran})
    screen.line("the broker was ended" if ran else "no broker ran")
    return 0


@click.command("doctor")
@broker_words
@click.pass_context
def doctor(ctx: click.Context, /, **words: Any) -> int:
    """Try out what the broker can do. Exit code 2: something that is needed does not work."""
    desk = desk_in(ctx, words, me=PROBE)
    screen = desk.screen
    try:
        where, abilities = _probe(desk.place)
    except BusError as exc:
        if screen.as_json:
            screen.envelope(
                "broker_doctor",
                {"reachable": False, "why": str(exc), "hint": exc.hint or None, "abilities": None},
            )
            return EXIT_FAILED
        raise
    if screen.as_json:
        able = asdict(abilities)
        screen.envelope("broker_doctor", {"reachable": True, "broker": where, "abilities": able})
    else:
        screen.line(f"broker: {where}")
        rows = [(row.mark, row.name, row.about) for row in ability_rows(abilities)]
        screen.table(("", "ability", "for"), rows, empty="")
    return EXIT_FAILED if abilities.lacking else 0


def _probe(place: Place) -> tuple[str, BrokerAbilities]:
    keep_quiet()
    with open_line(replace(place, compat="")) as line:
        # Only the admin of the private broker may try out everything.
        login = ensure_broker(place.paths).admin if place.is_private else line.login
        # A broker that lets a login write under its own name only is probed under that name.
        me = address_of_login(login)
        return str(line.endpoint), asyncio.run(probe_broker(line.endpoint, login, address=me))
