"""How a session's agents come to the bus: the private broker, or the one the person named."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from agentorchestr.errors import MissingDependency
from agentorchestr.journal.mailbox import FILE_NAME, MailStore
from agentorchestr.model.carrier import Transport, Will
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker, leave_broker
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import (
    Login,
    address_of_login,
    login_from_env,
    parse_broker_url,
    tls_from_env,
)
from agentorchestr.mqtt.logins import add_login, add_swarmbus_login, open_to_swarmbus, remove_logins
from agentorchestr.mqtt.probe import probe_broker
from agentorchestr.paths import Paths
from agentorchestr.process import offload
from agentorchestr.supervisor.post import ORG, Carrier, Dial, Probe, Share
from agentorchestr.swarm.inprocess import InProcessTransport, LocalCarrier
from agentorchestr.swarm.swarmbus import SwarmbusTransport, presence_will

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoBus:
    """Why this session is not on a bus, and what to type to change that."""

    why: str


async def open_carrier(
    paths: Paths, session_id: str, *, broker_url: str, env: Mapping[str, str], share: Share, compat: str = ""
) -> Carrier | NoBus:
    """Find the broker of this session. Without mosquitto its agents meet in this process, and nobody else.

    With *compat* ``swarmbus`` each of them is an agent of swarmbus, too.

    Raises ``UsageError`` for a broker's URL that cannot be used, ``BusError`` for a broker of ours that does
    not start.
    """
    if broker_url:
        dial, probe = _dial_named(broker_url, env)
        share = _speaking_swarmbus(share, session_id, None) if compat else share
        store = MailStore(paths.session(session_id) / FILE_NAME)
        return Carrier(
            dial, store, names_bound=False, share=share, broker=broker_url, probe=probe, compat=compat
        )
    try:
        handle = await offload(ensure_broker, paths, holder=session_id)
    except MissingDependency as exc:
        why = f"{exc}: agents write to one another within this session only. {exc.hint}"
        store = MailStore(paths.session(session_id) / FILE_NAME)
        return Carrier(_dial_inside(), store, names_bound=True, share=share, off_bus=why)
    store = MailStore(paths.session(session_id) / FILE_NAME)
    dial = _dial_private(paths, session_id, handle)
    if compat:
        await offload(open_to_swarmbus, paths)
        share = _speaking_swarmbus(share, session_id, partial(_dial_swarmbus, paths, handle))
    return Carrier(dial, store, names_bound=True, share=share, compat=compat)


DialThere = Callable[[Address], AbstractAsyncContextManager[Transport]]
"""Opens the connection that an agent needs on swarmbus beside its own."""


def _speaking_swarmbus(share: Share, session_id: str, dial_there: DialThere | None) -> Share:
    @asynccontextmanager
    async def speaking(line: Transport, worker_id: str) -> AsyncIterator[Transport]:
        me = Address(ORG, session_id, worker_id)
        async with share(line, worker_id) as transport:
            if dial_there is None:
                yield SwarmbusTransport(transport, me, shows=True)
                return
            async with dial_there(me) as there:
                yield SwarmbusTransport(transport, me, there=there)

    return speaking


@asynccontextmanager
async def _dial_swarmbus(paths: Paths, handle: BrokerHandle, me: Address) -> AsyncIterator[Transport]:
    login = await offload(add_swarmbus_login, paths, me)
    will = presence_will(login.user)
    async with MqttConnection(handle.endpoint_unix, client_id=login.user, login=login, will=will) as line:
        yield line


def _dial_inside() -> Dial:
    meeting = LocalCarrier()

    @asynccontextmanager
    async def dial(address: Address, will: Will) -> AsyncIterator[Transport]:
        async with InProcessTransport(meeting, address, will=will) as line:
            yield line

    return dial


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
    remove_logins(paths, members)
    leave_broker(paths, session_id)
