"""The names of topics, and which filter a topic matches."""

from functools import lru_cache

from agentorchestr.model.carrier import A2A_ROOT, LETTERS_ROOT
from agentorchestr.model.mail import Address

CARDS = f"{A2A_ROOT}/discovery/+/+/+"
ALL = f"{LETTERS_ROOT}/all/#"
_ADDRESS_LEVELS = 3
_LETTER_SLASHES = frozenset({5, 8})
"""In the topic of a letter to all, and to one."""


def directed(to: Address, sender: Address) -> str:
    """Where a letter to one agent goes; a login may publish only under its own name."""
    return f"{LETTERS_ROOT}/in/{to}/{sender}"


def broadcast(sender: Address) -> str:
    """Where a letter to everybody goes."""
    return f"{LETTERS_ROOT}/all/{sender}"


def inbox_filters(me: Address) -> tuple[str, str]:
    """What an agent subscribes to for its letters."""
    return (f"{LETTERS_ROOT}/in/{me}/#", ALL)


def question(owner: Address, asker: Address) -> str:
    """Where *asker* asks *owner* for a piece of an artifact."""
    return f"{LETTERS_ROOT}/get/{owner}/{asker}"


def get(me: Address) -> str:
    """What an agent subscribes to for questions about its artifacts."""
    return f"{LETTERS_ROOT}/get/{me}/#"


def piece(asker: Address, owner: Address) -> str:
    """Where *owner* sends pieces of an artifact to *asker*."""
    return f"{LETTERS_ROOT}/piece/{asker}/{owner}"


def pieces(me: Address) -> str:
    """What an agent subscribes to for pieces of artifacts."""
    return f"{LETTERS_ROOT}/piece/{me}/#"


def card(address: Address) -> str:
    """Where an agent's card stands, retained."""
    return f"{A2A_ROOT}/discovery/{address}"


def own_reply(me: Address, suffix: str) -> str:
    """A topic where only *me* listens and anybody may answer."""
    return f"{A2A_ROOT}/reply/{me}/{suffix}"


@lru_cache(maxsize=4096)
def sender_of(topic: str) -> Address:
    """Who published to a letter's *topic*: its last three levels. Raises ``ValueError``."""
    if topic.count("/") not in _LETTER_SLASHES:
        # The login of an agent of swarmbus has one level only, and is nobody here.
        raise ValueError(f"no letter comes at {topic!r}")
    return _last_address(topic)


def card_owner(topic: str) -> Address:
    """Whose card stands at *topic*. Raises ``ValueError``."""
    return _last_address(topic)


def matches(wanted: str, topic: str) -> bool:
    """Whether the filter *wanted* takes in *topic*. Source: MQTT 5, section 4.7."""
    if topic.startswith("$") != wanted.startswith("$"):
        return False
    names = topic.split("/")
    levels = wanted.split("/")
    for place, level in enumerate(levels):
        if level == "#":
            return True
        if place >= len(names) or level not in {"+", names[place]}:
            return False
    return len(levels) == len(names)


def _last_address(topic: str) -> Address:
    return Address(*topic.split("/")[-_ADDRESS_LEVELS:])
