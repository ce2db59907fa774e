"""What the verbs of ``agentorchestr bus`` share: who we are, over which broker, and how to answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from agentorchestr.bus.line import Place
from agentorchestr.bus.names import address_of
from agentorchestr.cli.common import json_option, shell_in
from agentorchestr.cli.inputs import LONGEST_S, read_duration
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.errors import UsageError
from agentorchestr.model import swarmbus
from agentorchestr.model.mail import Address
from agentorchestr.paths import whole_path

Function = TypeVar("Function", bound=Callable[..., Any])
AGENT_VARIABLE = "AGENTORCHESTR_AGENT_ID"
COMPATS = (swarmbus.NAME,)
PERSON = "person"
"""Who sends and reads when nobody is named."""


compat_option = click.option(
    "--bus-compat", type=click.Choice(COMPATS), default=None, help="Speak with agents of swarmbus, too."
)


def broker_words(function: Function) -> Function:
    """Add ``--broker``, ``--login-file`` and ``--json``."""
    for add in (
        json_option,
        click.option(
            "--login-file", metavar="FILE", default="", help="user:password for --broker, in its first line."
        ),
        click.option(
            "--broker", metavar="URL", default="", help="mqtts://host:8883; default: the private one."
        ),
    ):
        function = add(function)
    return function


def bus_words(function: Function) -> Function:
    """Add ``--agent-id``, ``--bus-compat`` and what ``broker_words`` adds."""
    words = click.option(
        "--agent-id",
        metavar="ID",
        default="",
        help=f"Who you are; default: ${AGENT_VARIABLE}, else {PERSON}.",
    )
    return compat_option(broker_words(words(function)))


@dataclass(frozen=True)
class Desk:
    """Where a verb was typed: its shell, its screen, and its agent's side of the broker."""

    shell: Shell
    screen: Screen
    place: Place


def desk_in(ctx: click.Context, words: Mapping[str, Any], *, me: Address | None = None) -> Desk:
    """Read the options that ``bus_words`` or ``broker_words`` added. Raises ``UsageError``."""
    shell = shell_in(ctx, as_json=words["as_json"])
    address = me or address_of(words.get("agent_id") or shell.env.get(AGENT_VARIABLE, "") or PERSON)
    file = path_of(shell, words["login_file"]) if words["login_file"] else None
    place = Place.of(
        shell.env, address, broker=words["broker"], login_file=file, compat=words.get("bus_compat") or ""
    )
    if not place.is_private:
        place.foreign_endpoint()
    return Desk(shell, Screen(as_json=shell.as_json), place)


def seconds(text: str, *, default: float) -> float:
    """Read a time limit: ``30s``, ``5m``, ``0.5s``, or a plain number of seconds. Raises ``UsageError``."""
    if not text:
        return default
    try:
        found = float(text.removesuffix("s"))
    except ValueError:
        return read_duration(text)
    if not 0 < found < LONGEST_S:
        raise UsageError(f"not a time: {text!r}", hint="write 30s, 5m or 1h30m")
    return found


def path_of(shell: Shell, name: str) -> Path:
    """A file a person named, from where they stand. Raises ``UsageError`` for a home that nobody has."""
    return whole_path(shell.cwd, name)
