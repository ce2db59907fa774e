"""What can be said to agents of swarmbus, and by whom."""

from collections.abc import Iterable

from agentorchestr.bus.line import Place
from agentorchestr.bus.names import short_name
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Address, Letter
from agentorchestr.model.swarmbus import is_neighbour, name_of
from agentorchestr.swarm.artifacts import ARTIFACT_TYPE


def check_speech(place: Place, letters: Iterable[Letter]) -> None:
    """Raise ``UsageError`` when a letter cannot be said as *place* speaks."""
    if place.compat:
        named(place.me)
    for letter in letters:
        if not is_neighbour(letter.receiver):
            continue
        name = short_name(letter.receiver or place.me)
        if not place.compat:
            raise UsageError(f"{name} is an agent of swarmbus", hint="add --bus-compat swarmbus")
        if letter.content_type == ARTIFACT_TYPE:
            raise UsageError(f"{name} is an agent of swarmbus, which gets 64 KiB of text at most")


def named(me: Address) -> str:
    """What *me* is called on swarmbus. Raises ``UsageError``."""
    try:
        return name_of(me)
    except ValueError as exc:
        raise UsageError(str(exc), hint="its names are 1 to 64 of a-z 0-9 _ -") from exc


def refuse_neighbour(me: Address) -> None:
    """Raise ``UsageError`` when one of our agents would take the name of one of swarmbus's."""
    if is_neighbour(me):
        raise UsageError(
            f"{short_name(me)} is an agent of swarmbus, not one of ours", hint="swarmbus start --agent-id …"
        )
