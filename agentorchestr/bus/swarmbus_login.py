"""Logins for agents of swarmbus at the private broker."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.bus.line import Place
from agentorchestr.bus.neighbours import named
from agentorchestr.errors import UsageError
from agentorchestr.model.swarmbus import RESERVED
from agentorchestr.mqtt.broker import ensure_broker
from agentorchestr.mqtt.logins import add_swarmbus_login, open_to_swarmbus
from agentorchestr.paths import ensure_private, write_private

FILE = "swarmbus.env"


@dataclass(frozen=True)
class SwarmbusLogin:
    """What an agent of swarmbus needs to come in; the password stands in *file* only."""

    name: str
    user: str
    port: int
    file: Path


def make_swarmbus_login(place: Place) -> SwarmbusLogin:
    """Let the agent of swarmbus that *place* names come in; made once, and the same afterwards.

    The broker stays until it is ended, since a stranger's client cannot start it.
    Source: swarmbus-py 0.2.0, ``cli.py``: the two variables. Raises ``UsageError``, ``BusError``.
    """
    name = named(place.me)
    if not place.compat:
        raise UsageError(f"{name} is an agent of swarmbus", hint="add --bus-compat swarmbus")
    if not place.is_private:
        raise UsageError("logins for a named broker are made where it runs", hint="leave --broker out")
    if name in RESERVED:
        raise UsageError(f"no agent of swarmbus is called {name}")
    ensure_broker(place.paths, stays=True)
    login = add_swarmbus_login(place.paths, place.me)
    port = open_to_swarmbus(place.paths)
    words = {"SWARMBUS_BROKER_USERNAME": login.user, "SWARMBUS_BROKER_PASSWORD": login.password}
    text = "".join(f"{key}={shlex.quote(value)}\n" for key, value in words.items())
    file = write_private(ensure_private(place.home.folder) / FILE, text)
    return SwarmbusLogin(name, login.user, port, file)
