"""Which broker an agent of the bus talks over, and how it gets in."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agentorchestr.bus.home import Home, home_of
from agentorchestr.bus.names import ORG, short_name
from agentorchestr.errors import UsageError
from agentorchestr.model import swarmbus
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.endpoint import (
    Endpoint,
    Login,
    address_of_login,
    login_from_env,
    parse_broker_url,
    read_login,
    tls_from_env,
)
from agentorchestr.paths import Paths, write_private
from agentorchestr.swarm.artifacts import Shelf

BROKER_VARIABLE = "AGENTORCHESTR_BROKER"
COMPAT_VARIABLE = "AGENTORCHESTR_BUS_COMPAT"
SESSION_EXPIRY_S = 7 * 86400
"""How long a broker keeps what comes in while an agent is away."""


@dataclass(frozen=True)
class Place:
    """One agent's side of one broker."""

    paths: Paths
    env: Mapping[str, str] = field(repr=False)
    me: Address
    broker: str = ""
    """A URL; empty: the private broker of this user."""
    login: Login | None = None
    login_file: Path | None = None
    compat: str = ""
    """``swarmbus``: speak with its agents, too."""

    @classmethod
    def of(
        cls,
        env: Mapping[str, str],
        me: Address,
        *,
        broker: str = "",
        login: Login | None = None,
        login_file: Path | None = None,
        compat: str = "",
    ) -> "Place":
        """Fill in from *env* what is not given. Raises ``UsageError``, also for a session's agent."""
        compat = compat or env.get(COMPAT_VARIABLE, "")
        if compat not in {"", swarmbus.NAME}:
            raise UsageError(f"unknown neighbour: {compat!r}", hint="known: swarmbus")
        paths = Paths.from_env(env)
        if me.org == ORG and paths.session(me.unit).is_dir():
            raise UsageError(
                f"{short_name(me)} belongs to session {me.unit}, which speaks for it",
                hint=f"write to it instead: agentorchestr bus send {short_name(me)} TEXT",
            )
        return cls(
            paths,
            env,
            me,
            broker or env.get(BROKER_VARIABLE, ""),
            login,
            login_file,
            compat,
        )

    @property
    def home(self) -> Home:
        """Where the mail is."""
        return home_of(self.paths, self.me, self.broker)

    @property
    def shelf(self) -> Shelf:
        """Where large bodies are kept, of all agents of this user."""
        return Shelf(self.paths.artifacts)

    @property
    def is_private(self) -> bool:
        """Whether the broker is ours: started when needed, with a login bound to each name."""
        return not self.broker

    @property
    def may_carry(self) -> bool:
        """Whether we can come in under the names of this user's other agents. Raises ``UsageError``."""
        if self.is_private:
            return True
        return address_of_login(self.foreign_login()) is None

    def foreign_endpoint(self) -> Endpoint:
        """Where the broker that was named listens. Raises ``UsageError``."""
        return parse_broker_url(self.broker, tls=tls_from_env(self.env))

    def foreign_login(self) -> Login | None:
        """Our login there: given, from a file, or from the environment. Raises ``UsageError``."""
        if self.login is not None:
            return self.login
        return read_login(self.login_file) if self.login_file is not None else login_from_env(self.env)


@dataclass(frozen=True)
class Line:
    """A broker that can be dialled."""

    endpoint: Endpoint
    login: Login | None
    names_bound: bool
    """The broker lets a login write under its own name only."""

    @property
    def unbound_org(self) -> str:
        """Whose names no login proves: on a named broker agents of sessions share that of their person."""
        return "" if self.names_bound else ORG


@contextmanager
def open_line(place: Place) -> Iterator[Line]:
    """Find the broker, and start the private one; it is ours to use until the end of the block. Blocks.

    Raises ``MissingDependency`` without mosquitto, ``UsageError`` and ``BusError``.
    """
    if not place.is_private:
        yield Line(place.foreign_endpoint(), place.foreign_login(), names_bound=False)
        return
    from agentorchestr.mqtt.broker import ensure_broker, leave_broker

    holder = f"bus:{place.me}:{os.getpid()}:{secrets.token_hex(4)}"
    handle = ensure_broker(place.paths, holder=holder)
    try:
        yield Line(handle.endpoint_unix, private_login(place), names_bound=True)
    finally:
        leave_broker(place.paths, holder)


def private_login(place: Place) -> Login:
    """Our login at the private broker, made when there is none, and kept where ``quick`` finds it."""
    from agentorchestr.mqtt.logins import add_login
    from agentorchestr.paths import ensure_private

    login = add_login(place.paths, place.me)
    ensure_private(place.home.folder)
    write_private(place.home.login_file, f"{login.user}:{login.password}\n")
    if place.compat:
        from agentorchestr.mqtt.logins import open_to_swarmbus

        open_to_swarmbus(place.paths)
        place.home.admitted.touch(mode=0o600)
    return login


def known_login(place: Place) -> Login | None:
    """Our login if we were at the broker before, without asking it."""
    if not place.is_private:
        return place.foreign_login()
    if place.compat and not place.home.admitted.exists():
        return None
    try:
        return read_login(place.home.login_file)
    except UsageError:
        return None
