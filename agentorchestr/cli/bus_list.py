"""``agentorchestr bus list``: who is on the broker, complete and without a fixed wait."""

import asyncio
import os
from typing import Any

import click

from agentorchestr.bus.cards import can, list_cards
from agentorchestr.bus.home import InstanceLock
from agentorchestr.bus.line import Line, Place, known_login, open_line
from agentorchestr.bus.names import ORG, short_name
from agentorchestr.cli.bus_options import broker_words, desk_in
from agentorchestr.cli.bus_shapes import card_shape
from agentorchestr.errors import BusError, CarrierGone
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint

CONNECTS_S = 5.0
HEADERS = ("agent", "online", "state", "can", "program", "description")
SEATS = 8
"""Listings that may run at once without one cutting the other off: a name is for one connection."""


@click.command("list")
@click.option("--capability", metavar="NAME", default="", help="Only agents that can do this.")
@click.option("--online", "online_only", is_flag=True, help="Only agents that are there now.")
@broker_words
@click.pass_context
def list_agents(ctx: click.Context, /, *, capability: str, online_only: bool, **words: Any) -> int:
    """List the agents on the broker, with what they can do."""
    desk = desk_in(ctx, words, me=Address(ORG, "cli", "list"))
    cards = [
        card for card in _cards(desk.place) if can(card, capability) and (card.online or not online_only)
    ]
    if desk.screen.as_json:
        desk.screen.envelope("agents", {"agents": [card_shape(card) for card in cards]})
    else:
        desk.screen.table(HEADERS, [_row(card) for card in cards], empty="no agent")
    return 0


def _row(card: AgentCard) -> tuple[str, ...]:
    skills = ", ".join(skill.name for skill in card.skills)
    online = "yes" if card.online else "no"
    return short_name(card.address), online, card.state, skills, card.program, card.description


def _cards(place: Place) -> list[AgentCard]:
    place, lock = _seat(place)
    try:
        if place.is_private and (login := known_login(place)) is not None:
            try:
                return _list(
                    Line(Endpoint(unix=place.paths.run / "mqtt.sock"), login, names_bound=True), place
                )
            except BusError:
                pass  # it was ended, or its logins were made anew
        with open_line(place) as line:
            return _list(line, place)
    finally:
        lock.release()


def _seat(place: Place) -> tuple[Place, InstanceLock]:
    """A name of ours that no other listing uses now."""
    for number in range(SEATS):
        seat = Place(
            place.paths,
            place.env,
            Address(ORG, "cli", f"list-{number}"),
            place.broker,
            place.login,
            place.login_file,
        )
        lock = InstanceLock(seat.home)
        if lock.try_lock():
            return seat, lock
    raise BusError(f"{SEATS} listings run already", hint="try again")


def _list(line: Line, place: Place) -> list[AgentCard]:
    async def work() -> list[AgentCard]:
        # A login of a broker that binds names can only be used under its own.
        name = str(place.me) if line.names_bound or line.login is None else line.login.user
        made = MqttConnection(
            line.endpoint,
            client_id=name if line.names_bound else f"{name}.list.{os.getpid()}",
            login=line.login,
            will=None,
            session_expiry_s=0,
        )
        async with made as connection:
            if not await connection.wait_connected(timeout_s=CONNECTS_S if not place.is_private else 1.0):
                raise CarrierGone(f"no broker answers at {line.endpoint}")
            return await list_cards(connection, place.me)

    return asyncio.run(work())
