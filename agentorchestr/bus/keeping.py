"""What runs beside an agent on the bus: its broker is started again, and the mail of sleepers is carried."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace

from agentorchestr.bus.home import Home, InstanceLock, drain, open_bell
from agentorchestr.bus.line import SESSION_EXPIRY_S, Place, private_login
from agentorchestr.bus.names import address_of
from agentorchestr.bus.speaking import telling
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.journal.mailbox import FILE_NAME, MailStore
from agentorchestr.model.carrier import Delivered, Incoming, Properties, Transport
from agentorchestr.model.mail import Address, AgentCard
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.process import offload
from agentorchestr.swarm import topics
from agentorchestr.swarm.exchange import Exchange

LOOK_S = 2.0
CARRY_EVERY_S = 30.0
CARRY_S = 3.0
"""One sleeper's mail may take this long; the rest goes the next time."""
POLL_S = 0.05
SENDERS_AT_ONCE = 4
NONE = Properties()

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def answering(home: Home, rung: Callable[[], None]) -> Iterator[None]:
    """Call *rung* whenever another process says that it changed the mail file."""
    with contextlib.closing(open_bell(home)) as bell:
        loop = asyncio.get_running_loop()

        def listen() -> None:
            drain(bell)
            rung()

        loop.add_reader(bell, listen)
        try:
            yield
        finally:
            loop.remove_reader(bell)
            home.bell.unlink(missing_ok=True)


async def keep(place: Place, transport: Transport, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Work for ever beside an agent: carry the mail of sleepers, and look after the private broker."""
    carried_at = -CARRY_EVERY_S
    while True:
        if await transport.wait_connected(timeout_s=LOOK_S):
            if clock.monotonic() - carried_at >= CARRY_EVERY_S:
                carried_at = clock.monotonic()
                await carry(place)
            await clock.pause(LOOK_S)
        elif place.is_private:
            await _revive(place)


async def _revive(place: Place) -> None:
    from agentorchestr.mqtt.broker import ensure_broker

    try:
        await offload(ensure_broker, place.paths)
    except OrchestrError as exc:
        logger.warning("broker not started again", extra={"why": str(exc)})


async def carry(place: Place) -> None:
    """Send what waits in the mail files of this user's agents that do not run now."""
    places = asyncio.Semaphore(SENDERS_AT_ONCE)

    async def one(sleeper: Place) -> None:
        async with places:
            try:
                await _carry_for(sleeper, awake=place.me)
            except OrchestrError as exc:
                logger.warning("mail not carried", extra={"sender": str(sleeper.me), "why": str(exc)})

    async with asyncio.TaskGroup() as group:
        for sleeper in await offload(_sleepers, place):
            group.create_task(one(sleeper))


def _sleepers(place: Place) -> list[Place]:
    return [replace(place, me=me) for me in _residents(place) if me != place.me]


def _residents(place: Place) -> Iterator[Address]:
    folder = place.paths.state / "bus"
    # Mail for a named broker lies one folder deeper, under the name of that broker.
    inner = "" if place.is_private else f"{place.home.folder.name}/"
    for mail in folder.glob(f"*/{inner}{FILE_NAME}"):
        with contextlib.suppress(UsageError):
            yield address_of(mail.relative_to(folder).parts[0].replace("~", "/"))


async def _carry_for(sleeper: Place, *, awake: Address) -> None:
    lock = InstanceLock(sleeper.home)
    if not lock.try_lock():
        return
    try:
        store = await offload(sleeper.home.open_store)
        try:
            if await offload(store.outbox.next_due, sleeper.me) is not None:
                await _send_waiting(sleeper, store, awake=awake)
        finally:
            await offload(store.close)
    finally:
        lock.release()


async def _send_waiting(sleeper: Place, store: MailStore, *, awake: Address) -> None:
    if sleeper.is_private:
        endpoint = Endpoint(unix=sleeper.paths.run / "mqtt.sock")
        login: Login | None = await offload(private_login, sleeper)
    else:
        endpoint, login = sleeper.foreign_endpoint(), sleeper.foreign_login()
    made = MqttConnection(
        endpoint,
        client_id=str(sleeper.me),
        login=login,
        will=None,
        session_expiry_s=SESSION_EXPIRY_S,
    )
    async with made as connection:
        quiet = telling(sleeper, Quiet(connection, sleeper.me))
        async with Exchange(
            quiet, store, sleeper.me, card=AgentCard(sleeper.me), names_bound=sleeper.is_private
        ) as exchange:
            exchange.hurry(awake)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CARRY_S):
                    while await exchange.lane.do(lambda: store.outbox.next_due(sleeper.me)) is not None:
                        await SYSTEM_CLOCK.pause(POLL_S)


class Quiet:
    """A transport that says nothing of its agent being there: a ``Transport``."""

    def __init__(self, carried: Transport, me: Address) -> None:
        self._carried = carried
        self._card = topics.card(me)

    @property
    def connected(self) -> bool:
        """As the transport below."""
        return self._carried.connected

    async def publish(
        self, topic: str, payload: bytes, *, properties: Properties = NONE, retain: bool = False
    ) -> Delivered:
        """Publish anything but the card."""
        if topic == self._card:
            return Delivered.ACCEPTED
        return await self._carried.publish(topic, payload, properties=properties, retain=retain)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """As the transport below."""
        await self._carried.subscribe(filters)

    def messages(self) -> AsyncIterator[Incoming]:
        """As the transport below."""
        return self._carried.messages()

    async def wait_connected(self, *, timeout_s: float) -> bool:
        """As the transport below."""
        return await self._carried.wait_connected(timeout_s=timeout_s)
