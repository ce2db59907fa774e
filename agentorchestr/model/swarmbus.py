"""swarmbus, a neighbour on the same broker: its topics, and how its names stand for ours.

Source: swarmbus-py 0.2.0, ``topics.py`` and ``message.py``.
"""

import re

from agentorchestr.model.mail import Address

NAME = "swarmbus"
"""The word for it on the command line, and the unit its agents have here: ``swarmbus/planner``."""
ORG, LOCAL = "agentorchestr", "local"
ROOT = "agents"
EVERYBODY = "broadcast"
BROADCAST = f"{ROOT}/{EVERYBODY}"
PRESENCES = f"{ROOT}/+/presence"
RESERVED = frozenset({EVERYBODY, "system"})
"""What no agent of swarmbus may be called."""
ID = re.compile(r"[a-z0-9_-]{1,64}")


def inbox(name: str) -> str:
    """Where a message to one agent of swarmbus goes, whoever sends it."""
    return f"{ROOT}/{name}/inbox"


def presence(name: str) -> str:
    """Where it stands, retained, whether an agent of swarmbus is online."""
    return f"{ROOT}/{name}/presence"


def neighbour(name: str) -> Address:
    """What an agent of swarmbus is called here. Raises ``ValueError`` for no name of swarmbus."""
    if ID.fullmatch(name) is None:
        raise ValueError(f"not a name of swarmbus: {name!r}")
    return Address(ORG, NAME, name)


def is_neighbour(address: Address | None) -> bool:
    """Whether *address* is an agent of swarmbus, or all of them."""
    return address is not None and (address.org, address.unit) == (ORG, NAME)


def is_to_all(receiver: Address | None) -> bool:
    """Whether a letter goes to everybody in reach, here and there or only there."""
    return receiver is None or (is_neighbour(receiver) and receiver.agent == EVERYBODY)


def name_of(address: Address) -> str:
    """What *address* is called on swarmbus: ``ben``, ``<session>-lead`` for an agent of a session.

    Raises ``ValueError`` for one that has no name there.
    """
    parts = [part for part in (address.org, address.unit) if part not in {ORG, LOCAL, NAME}]
    name = "-".join([*parts, address.agent])
    if ID.fullmatch(name) is None or (name in RESERVED and not is_neighbour(address)):
        raise ValueError(f"{address} has no name on swarmbus")
    return name
