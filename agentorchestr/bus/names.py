"""How an agent of the bus is named by a person: ``reviewer``, ``session/worker`` or a full address."""

from collections.abc import Iterable

from agentorchestr.errors import UsageError
from agentorchestr.model.mail import ID, Address

ORG = "agentorchestr"
LOCAL = "local"
"""The unit of agents that belong to no session."""
EVERYBODY = frozenset({"all", "*"})
ID_HINT = "1 to 64 of A-Z a-z 0-9 _ . -"
_PARTS = 3


def address_of(text: str) -> Address:
    """Read the name of an agent: without ``/`` it is local.

    Raises ``UsageError``.
    """
    parts = [ORG, LOCAL, text] if "/" not in text else text.split("/")
    if len(parts) == _PARTS - 1:
        parts = [ORG, *parts]
    # The two would lead out of the folder of mailboxes.
    if len(parts) != _PARTS or {".", ".."} & set(parts) or not all(map(ID.fullmatch, parts)):
        raise UsageError(
            f"not the name of an agent: {text!r}",
            hint=f"{ID_HINT}: reviewer, session/worker, org/unit/agent",
        )
    return Address(*parts)


def receivers_of(words: Iterable[str]) -> list[Address | None]:
    """Read the names of receivers, each once; None stands for everybody, and then alone.

    Raises ``UsageError``.
    """
    given = dict.fromkeys(words)
    if EVERYBODY & given.keys():
        if len(given) > 1:
            raise UsageError("all cannot go with other receivers", hint="give all, or names")
        return [None]
    return list(dict.fromkeys(address_of(word) for word in given))


def short_name(address: Address) -> str:
    """The shortest text that ``address_of`` reads back."""
    if address.org != ORG:
        return str(address)
    return address.agent if address.unit == LOCAL else f"{address.unit}/{address.agent}"
