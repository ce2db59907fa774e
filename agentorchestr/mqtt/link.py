"""One connection from CONNECT to its end: paho on the event loop. A new connection is a new ``Link``."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agentorchestr.errors import CarrierGone
from agentorchestr.model.carrier import Delivered, Properties, leaves_out_own, packet_bytes, sayable
from agentorchestr.mqtt.endpoint import Endpoint
from agentorchestr.mqtt.hello import ANSWER_S, Hello, Welcome, dial, make_client, welcome_of
from agentorchestr.mqtt.packets import Published, puback_packet, publish_packet
from agentorchestr.mqtt.pump import Pump
from agentorchestr.mqtt.refusals import not_open, refused
from agentorchestr.process import offload

LEAVE_S = 2.0
IN_FLIGHT = 512
"""Publishes of ours without an answer at once; a broker may ask for fewer."""
OUR_MIDS = range(0x1000, 0x10000)
"""Packet identifiers of our publishes; paho counts its subscriptions from 1."""
NO_SUBSCRIBERS = 0x10
FAILED = 0x80


class Received:
    """A message of one link; its acknowledgement has no effect once that link is gone."""

    __slots__ = ("_link", "_mid", "payload", "properties", "retained", "topic")

    def __init__(self, link: "Link", message: Published) -> None:
        self.topic = message.topic.decode()
        self.payload = message.payload
        self.properties = message.properties
        self.retained = message.retained
        self._link = link
        self._mid = message.mid

    def acknowledge(self) -> None:
        """Tell the broker that it need not send this again; a second call does nothing."""
        mid, self._mid = self._mid, 0
        if mid:
            self._link.acknowledge(mid)


class Link:
    """Used once: ``open``, then the rest until ``ended`` is set."""

    def __init__(
        self,
        endpoint: Endpoint,
        hello: Hello,
        *,
        tls: ssl.SSLContext | None,
        on_message: Callable[[Received], None],
    ) -> None:
        self.ended = asyncio.Event()
        self.welcome = Welcome(session_present=False)
        self.why = ""
        """Why it ended, as far as anybody told."""
        self._endpoint = endpoint
        self._hello = hello
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[tuple[Welcome, ReasonCode]] = self._loop.create_future()
        self._mids = itertools.cycle(OUR_MIDS)
        self._published: dict[int, asyncio.Future[int]] = {}
        self._subscribed: dict[int, asyncio.Future[list[int]]] = {}
        self._window = asyncio.Semaphore(IN_FLIGHT)
        self._client = make_client(endpoint, hello, tls=tls)
        self._pump = Pump(self._client, on_message=self._message, on_answer=self._puback, on_broken=self.cut)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._suback

    async def open(self) -> None:
        """Connect and wait for the broker's answer.

        Raises ``CarrierGone`` when nobody answers and ``CarrierRefused`` when the answer is no.
        """
        try:
            async with asyncio.timeout(2 * ANSWER_S):
                await offload(self._dial)
                self._pump.attach()
                self.welcome, reason = await self._answer
        except BaseException as exc:
            self.cut(str(exc))
            if isinstance(exc, OSError | CarrierGone):
                raise not_open(self._endpoint, exc) from exc
            raise
        if reason.value >= FAILED:
            self.cut(str(reason))
            has_login = self._hello.login is not None
            raise refused(self._endpoint, self._hello.client_id, reason, has_login=has_login)
        self._window = asyncio.Semaphore(min(IN_FLIGHT, self.welcome.receive_maximum))

    def _dial(self) -> None:
        dial(self._client, self._endpoint, self._hello)
        if self.ended.is_set() and (sock := self._client.socket()) is not None:
            sock.close()  # nobody waits for it any more

    async def publish(self, topic: str, payload: bytes, properties: Properties, *, retain: bool) -> Delivered:
        """Publish at QoS 1 and wait for the answer. Raises ``CarrierGone``."""
        limit = self.welcome.packet_bytes
        if not sayable(topic, properties):
            return Delivered.REFUSED
        if limit is not None and packet_bytes(topic, payload, properties) > limit:
            return Delivered.REFUSED
        async with self._window:
            self._must_live()
            mid = self._free_mid()
            answer = self._published[mid] = self._loop.create_future()
            self._pump.send(publish_packet(mid, topic, payload, properties, retain=retain))
            reason = await answer
        if reason == NO_SUBSCRIBERS:
            return Delivered.NOBODY_THERE
        return Delivered.REFUSED if reason >= FAILED else Delivered.ACCEPTED

    def _free_mid(self) -> int:
        # One that was given up stays taken until its answer comes.
        while (mid := next(self._mids)) in self._published:
            pass
        return mid

    async def subscribe(self, filters: Sequence[str], *, retained: bool) -> tuple[str, ...]:
        """Subscribe at QoS 1 and return the filters that were refused.

        Without *retained*, retained messages come only for subscriptions that the broker did not know.

        Raises ``CarrierGone``.
        """
        self._must_live()
        when = (
            SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if retained else SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        )
        asked = [
            (one, SubscribeOptions(1, noLocal=leaves_out_own(one), retainHandling=when)) for one in filters
        ]
        rc, mid = self._client.subscribe(asked)
        if rc != paho.MQTT_ERR_SUCCESS or mid is None:
            raise CarrierGone(f"nothing can be subscribed now: {paho.error_string(rc)}")
        answer = self._subscribed[mid] = self._loop.create_future()
        try:
            async with asyncio.timeout(ANSWER_S):
                reasons = await answer
        except TimeoutError as exc:
            self.cut("no answer to a subscription")
            raise CarrierGone(f"{self._endpoint} does not answer a subscription") from exc
        finally:
            self._subscribed.pop(mid, None)
        return tuple(one for one, reason in zip(filters, reasons, strict=True) if reason >= FAILED)

    def acknowledge(self, mid: int) -> None:
        """Acknowledge a message of this link; nothing when it is gone."""
        if not self.ended.is_set():
            self._pump.send(puback_packet(mid))

    def tick(self) -> None:
        """Ping when it is time, end the link when the broker is silent; call it a few times per keepalive."""
        if not self.ended.is_set():
            self._client.loop_misc()

    async def leave(self) -> None:
        """Say goodbye: the broker then tells no will."""
        if not self.ended.is_set():
            self._client.disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self.ended.wait()
        self.cut("left")

    def cut(self, why: str) -> None:
        """End the connection without a word to the broker."""
        self._pump.stop()
        self._over(why)

    def _over(self, why: str) -> None:
        if self.ended.is_set():
            return
        self.why = why
        self.ended.set()
        waiting: list[asyncio.Future[Any]] = [
            self._answer,
            *self._published.values(),
            *self._subscribed.values(),
        ]
        for answer in waiting:
            if not answer.done():
                answer.set_exception(CarrierGone(f"the connection to {self._endpoint} is gone: {why}"))
        if self._answer.done() and not self._answer.cancelled():
            self._answer.exception()  # seen, even when nobody waits for it any more

    def _must_live(self) -> None:
        if self.ended.is_set():
            raise CarrierGone(f"the connection to {self._endpoint} is gone: {self.why}")

    def _connected(
        self,
        _client: paho.Client,
        _userdata: Any,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        found: PahoProperties | None,
    ) -> None:
        if not self._answer.done():
            welcome = welcome_of(session_present=flags.session_present, found=found)
            self._answer.set_result((welcome, reason))

    def _disconnected(
        self, _client: paho.Client, _userdata: Any, _flags: Any, reason: ReasonCode, _found: Any
    ) -> None:
        self._over(str(reason))

    def _puback(self, mid: int, reason: int) -> None:
        answer = self._published.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(reason)

    def _suback(
        self, _client: paho.Client, _userdata: Any, mid: int, reasons: list[ReasonCode], _found: Any
    ) -> None:
        answer = self._subscribed.get(mid)
        if answer is not None and not answer.done():
            answer.set_result([reason.value for reason in reasons])

    def _message(self, message: Published) -> None:
        try:
            received = Received(self, message)
        except UnicodeDecodeError:
            # A topic that is no text is nobody's.
            if message.mid:
                self.acknowledge(message.mid)
        else:
            self._on_message(received)
