"""``agentorchestr bus up``, ``down`` and ``doctor``: the broker itself."""

import asyncio
from dataclasses import fields
from typing import Any

import click

from agentorchestr.bus.line import Place, open_line
from agentorchestr.bus.names import ORG
from agentorchestr.cli.bus_options import broker_words, desk_in
from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.render import Screen
from agentorchestr.errors import BusError
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import ensure_broker, stop_broker
from agentorchestr.mqtt.probe import BrokerAbilities, probe_broker

EXIT_FAILED = 2
PROBE = Address(ORG, "cli", "doctor")
NEEDED = {
    "a2a_topics": "agents' cards and A2A requests",
    "retained": "cards for who comes later",
    "session_expiry": "messages for agents that are away",
}
WANTED = {
    "will": "an agent that crashed shows as gone",
    "will_delay": "a short cut shows nobody as gone",
    "nobody_there": "a sender hears at once that nobody is there",
    "shared": "shared subscriptions",
    "shared_on_a2a": "pools of A2A agents without a dispatcher",
}


@click.command("up")
@json_option
@click.pass_context
def up(ctx: click.Context, /, *, as_json: bool) -> int:
    """Start the private broker, or find it; it stays until down."""
    shell = shell_in(ctx, as_json=as_json)
    handle = ensure_broker(shell.paths, stays=True)
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        listening = {"unix": str(handle.endpoint_unix), "tcp": str(handle.endpoint_tcp)}
        screen.envelope("broker", {"pid": handle.pid, **listening})
    screen.line(f"the broker runs (pid {handle.pid}) at {handle.endpoint_tcp} and {handle.endpoint_unix}")
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
            screen.envelope("broker_doctor", {"reachable": False, "why": str(exc), "abilities": None})
            return EXIT_FAILED
        raise
    able = {field.name: getattr(abilities, field.name) for field in fields(abilities)}
    if screen.as_json:
        screen.envelope("broker_doctor", {"reachable": True, "broker": where, "abilities": able})
    else:
        screen.line(f"broker: {where}")
        rows = [(_mark(able[name], needed=True), name, what) for name, what in NEEDED.items()]
        rows += [(_mark(able[name], needed=False), name, what) for name, what in WANTED.items()]
        limit = f"{abilities.packet_bytes:,} bytes" if abilities.packet_bytes else "no limit told"
        rows.append(("ok", "packet_bytes", f"largest message: {limit}"))
        screen.table(("", "ability", "for"), rows, empty="")
    return 0 if all(able[name] for name in NEEDED) else EXIT_FAILED


def _probe(place: Place) -> tuple[str, BrokerAbilities]:
    with open_line(place) as line:
        # Only the admin of the private broker may try out everything.
        login = ensure_broker(place.paths).admin if place.is_private else line.login
        # A broker that lets a login write under its own name only is probed under that name.
        me = None if login is None else _named(login.user)
        return str(line.endpoint), asyncio.run(probe_broker(line.endpoint, login, address=me))


def _named(user: str) -> Address | None:
    try:
        return Address.parse(user)
    except ValueError:
        return None


def _mark(works: object, *, needed: bool) -> str:
    return "ok" if works else "FAILED" if needed else "no"
