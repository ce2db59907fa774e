"""How a session's agents come to the bus: the private broker, or the one the person named."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from agentorchestr.errors import MissingDependency
from agentorchestr.journal.mailbox import FILE_NAME, MailStore
from agentorchestr.model.carrier import Transport, Will
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker, leave_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Login, login_from_env, parse_broker_url, tls_from_env
from agentorchestr.mqtt.logins import add_login, remove_login
from agentorchestr.mqtt.probe import address_of_login, probe_broker
from agentorchestr.paths import Paths
from agentorchestr.process import offload
from agentorchestr.supervisor.post import Carrier, Dial, Probe, Share

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoBus:
    """Why this session is not on a bus, and what to type to change that."""

    why: str


async def open_carrier(
    paths: Paths, session_id: str, *, broker_url: str, env: Mapping[str, str], share: Share
) -> Carrier | NoBus:
    """Find the broker of this session. Without mosquitto its agents talk within the session only.

    Raises ``UsageError`` for a broker's URL that cannot be used, ``BusError`` for a broker of ours that does
    not start.
    """
    if broker_url:
        dial, probe = _dial_named(broker_url, env)
        store = MailStore(paths.session(session_id) / FILE_NAME)
        return Carrier(dial, store, names_bound=False, share=share, broker=broker_url, probe=probe)
    try:
        handle = await offload(ensure_broker, paths, holder=session_id)
    except MissingDependency as exc:
        return NoBus(f"{exc}: agents write to one another within this session only. {exc.hint}")
    store = MailStore(paths.session(session_id) / FILE_NAME)
    return Carrier(_dial_private(paths, session_id, handle), store, names_bound=True, share=share)


def _dial_private(paths: Paths, session_id: str, handle: BrokerHandle) -> Dial:
    @asynccontextmanager
    async def dial(address: Address, will: Will) -> AsyncIterator[Transport]:
        login = await offload(add_login, paths, address)
        # A broker that was killed is started again by whoever misses it first.
        revive = partial(ensure_broker, paths, holder=session_id)
        line = MqttConnection(
            handle.endpoint_unix, client_id=str(address), login=login, will=will, revive=revive
        )
        async with line:
            yield line

    return dial


def _dial_named(broker_url: str, env: Mapping[str, str]) -> tuple[Dial, Probe]:
    endpoint = parse_broker_url(broker_url, tls=tls_from_env(env))
    login: Login | None = login_from_env(env)

    @asynccontextmanager
    async def dial(address: Address, will: Will) -> AsyncIterator[Transport]:
        async with MqttConnection(endpoint, client_id=str(address), login=login, will=will) as line:
            yield line

    return dial, partial(probe_broker, endpoint, login, address=address_of_login(login))


def close_carrier(paths: Paths, session_id: str, members: tuple[Address, ...], *, private: bool) -> None:
    """Take the session's logins away and let the private broker go, which ends with its last session."""
    if not private:
        return
    for address in members:
        remove_login(paths, address)
    leave_broker(paths, session_id)
