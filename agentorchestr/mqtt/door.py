"""The door that the private mosquitto has for agents of swarmbus: a listener, their rights, their names."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from agentorchestr.errors import UsageError
from agentorchestr.model import swarmbus
from agentorchestr.model.mail import Address

# Their clients use one login on several connections at a time, so a login is no client id here.
# What waits for one that never comes back is thrown away after two weeks; ours have their own limit.
LISTENER = """\
listener {port} 127.0.0.1
persistent_client_expiration 14d
"""
RIGHTS = f"""
pattern read {swarmbus.PRESENCES}
pattern read {swarmbus.BROADCAST}
pattern write {swarmbus.inbox("+")}
pattern write {swarmbus.BROADCAST}
pattern read {swarmbus.inbox("%u")}
pattern write {swarmbus.presence("%u")}
"""
"""Senders are not in these topics, so everybody inside may write there, and no sender is proven.

A login's user is its name there, as no rule but a pattern will do: told to read its files again, mosquitto
2.0.11 forgets the rules of one user for whoever is away, and throws away what comes for them.
"""
TAKEN = frozenset({"admin", "canary"})
"""Users of the broker itself."""


class Door(BaseModel):
    """Whether agents of swarmbus may come in, where, and who has which name. ``names``: address by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    is_open: bool = False
    port: int = 0
    names: dict[str, str] = Field(default_factory=dict)

    @property
    def listener(self) -> str:
        """What stands in the configuration for it."""
        return LISTENER.format(port=self.port) if self.is_open else ""

    @property
    def rights(self) -> str:
        """What stands in the rights for it: each may read its own inbox and show its own presence only."""
        return RIGHTS if self.is_open else ""

    def opened(self, address: Address | None = None) -> Self:
        """Open, and *address* has its name. Raises ``UsageError``."""
        if address is None:
            return self.model_copy(update={"is_open": True})
        try:
            name = swarmbus.name_of(address)
        except ValueError as exc:
            raise UsageError(str(exc), hint="its names are 1 to 64 of a-z 0-9 _ -") from exc
        owner = "the broker itself" if name in TAKEN else self.names.get(name, str(address))
        if owner != str(address):
            raise UsageError(
                f"on swarmbus {name} is already {owner}", hint="take another name for one of them"
            )
        return self.model_copy(update={"is_open": True, "names": {**self.names, name: str(address)}})

    def without(self, names: Iterable[str]) -> Self:
        """Without *names*."""
        return self.model_copy(update={"names": {k: v for k, v in self.names.items() if k not in set(names)}})
