"""Find out by trying what a broker can do for us, with one login and one connection at a time."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import BusError, CarrierGone, CarrierRefused
from agentorchestr.model.broker import BrokerAbilities
from agentorchestr.model.carrier import A2A_ROOT, Delivered, Properties, Will
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login, address_of_login

ARRIVES_S = 1.0
WILL_DELAY_S = 1
WILL_ARRIVES_S = 3.0
SESSION_S = 60


async def probe_broker(
    endpoint: Endpoint, login: Login | None, *, address: Address | None = None, clock: Clock = SYSTEM_CLOCK
) -> BrokerAbilities:
    """Try everything on the topics of *address*, by default one made for this; leaves nothing behind.

    On a broker that binds names, *login* must have the rights of *address*. It takes a few seconds.

    Raises ``CarrierRefused`` when the broker refuses the login and ``CarrierGone`` when it does not answer.
    """
    me = address or Address("agentorchestr", "probe", secrets.token_hex(6))
    return await _Probe(endpoint, login, me, clock).run()


async def greet(endpoint: Endpoint, login: Login | None, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Connect once and go, to see whether the broker lets us in. Raises as ``probe_broker``."""
    me = address_of_login(login) or Address("agentorchestr", "probe", secrets.token_hex(6))
    async with _Probe(endpoint, login, me, clock).connected(0):
        pass


class _Probe:
    def __init__(self, endpoint: Endpoint, login: Login | None, me: Address, clock: Clock) -> None:
        self._endpoint = endpoint
        self._login = login
        self._me = str(me)
        self._clock = clock
        self._card = f"{A2A_ROOT}/discovery/{me}"
        self._request = f"{A2A_ROOT}/request/{me}"

    async def run(self) -> BrokerAbilities:
        async with self.connected(0) as line:
            welcome = line.welcome
            packet_bytes = welcome.packet_bytes if welcome else None
            a2a_topics = await self._goes_round(line, f"{self._request}/probe", f"{self._request}/+")
            nobody_there = await self._says(line, f"{self._request}/nobody/here") is Delivered.NOBODY_THERE
            retained = await self._keeps_cards(line)
        # Each on its own connection: an ordinary subscription from before would hear it as well.
        granted, shared_on_a2a = await self._is_shared(f"{self._request}/pool")
        shared = shared_on_a2a or all(await self._is_shared(f"agentorchestr/probe/{self._me}"))
        session_expiry = await self._keeps_sessions()
        will_delay, will = await self._tells_wills() if retained else (False, False)
        return BrokerAbilities(
            a2a_topics=a2a_topics,
            shared_on_a2a=shared_on_a2a,
            shared_on_a2a_granted=granted,
            shared=shared,
            retained=retained,
            will=will,
            will_delay=will and will_delay,
            session_expiry=session_expiry,
            nobody_there=nobody_there,
            packet_bytes=packet_bytes,
        )

    @asynccontextmanager
    async def connected(self, expiry_s: int, will: Will | None = None) -> AsyncIterator[MqttConnection]:
        made = MqttConnection(
            self._endpoint,
            client_id=self._me,
            login=self._login,
            will=will,
            session_expiry_s=expiry_s,
            clock=self._clock,
        )
        async with made as line:
            if not await line.wait_connected(timeout_s=ARRIVES_S):
                raise line.trouble or CarrierGone(f"no broker answers at {self._endpoint}")
            yield line

    async def _says(self, line: MqttConnection, topic: str, *, retain: bool = False) -> Delivered:
        """Publish with everything we use; a broker that hangs up has refused."""
        properties = Properties(
            response_topic=f"{A2A_ROOT}/reply/{self._me}/probe",
            correlation=b"\xff\x00",
            content_type="application/json",
            utf8=True,
            expiry_s=SESSION_S,
            user=(("a2a-probe", "1"), ("a2a-probe", "2")),
        )
        try:
            return await line.publish(topic, b"{}", properties=properties, retain=retain)
        except CarrierGone:
            await line.wait_connected(timeout_s=ARRIVES_S)
            return Delivered.REFUSED

    async def _hears(self, line: MqttConnection, topic: str, *, within_s: float = ARRIVES_S) -> bool:
        try:
            async with asyncio.timeout(within_s):
                async for message in line.messages():
                    message.acknowledge()
                    if message.topic == topic and message.payload:
                        return True
        except TimeoutError:
            pass
        return False

    async def _goes_round(self, line: MqttConnection, topic: str, topic_filter: str) -> bool:
        return await self._granted(line, topic_filter) and await self._arrives(line, topic)

    async def _granted(self, line: MqttConnection, topic_filter: str) -> bool:
        try:
            await line.subscribe([topic_filter])
        except CarrierRefused:
            return False
        return True

    async def _arrives(self, line: MqttConnection, topic: str) -> bool:
        said = await self._says(line, topic)
        return said is not Delivered.REFUSED and await self._hears(line, topic)

    async def _is_shared(self, topic: str) -> tuple[bool, bool]:
        """Whether a shared subscription is granted, and whether it also delivers."""
        async with self.connected(0) as line:
            granted = await self._granted(line, f"$share/agentorchestr.probe/{topic}")
            return granted, granted and await self._arrives(line, topic)

    async def _keeps_cards(self, line: MqttConnection) -> bool:
        if await self._says(line, self._card, retain=True) is Delivered.REFUSED:
            return False
        kept = await self._has_card(line)
        await self._forget_card(line)
        return kept

    async def _has_card(self, line: MqttConnection) -> bool:
        return await self._granted(line, self._card) and await self._hears(line, self._card)

    async def _forget_card(self, line: MqttConnection) -> None:
        try:
            await line.publish(self._card, b"", retain=True)
        except BusError:
            await line.wait_connected(timeout_s=ARRIVES_S)

    async def _keeps_sessions(self) -> bool:
        async with self.connected(SESSION_S):
            pass
        async with self.connected(SESSION_S) as line:
            kept = line.welcome is not None and line.welcome.session_present
        async with self.connected(0):
            pass  # a clean start ends the session that was kept
        return kept

    async def _tells_wills(self) -> tuple[bool, bool]:
        """Whether a will waits while we may come back, and whether it is told when we do not."""
        will = Will(self._card, b"{}", retain=True, delay_s=WILL_DELAY_S)
        async with self.connected(SESSION_S, will) as line:
            line.cut(stay_away=True)
        async with self.connected(SESSION_S, will) as line:
            held_back = not await self._has_card(line)
            line.cut(stay_away=True)
        await self._clock.pause(WILL_DELAY_S + WILL_ARRIVES_S)
        async with self.connected(0) as line:
            told = await self._has_card(line)
            await self._forget_card(line)
        return held_back, told
