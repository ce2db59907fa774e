"""How a connection begins: what we tell the broker, and what it answers."""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from agentorchestr.model.carrier import Will
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.packets import LARGEST_BYTES
from agentorchestr.mqtt.properties import empty, of_will

ANSWER_S = 10.0
"""How long a broker may take to answer a CONNECT or a SUBSCRIBE."""


@dataclass(frozen=True)
class Hello:
    """What a connection begins with. With *session_expiry_s* 0 no session is kept, and none is taken up."""

    client_id: str
    login: Login | None = None
    will: Will | None = None
    session_expiry_s: int = 86400
    keepalive_s: int = 20
    receive_maximum: int = 500
    """Messages that may wait here unacknowledged."""


@dataclass(frozen=True)
class Welcome:
    """What the broker answered. None: it set no limit."""

    session_present: bool
    receive_maximum: int = 65535
    packet_bytes: int | None = None
    retains: bool = True
    shared_subscriptions: bool = True
    session_expiry_s: int | None = None


def welcome_of(*, session_present: bool, found: PahoProperties | None) -> Welcome:
    """Read the properties of a CONNACK."""
    return Welcome(
        session_present=session_present,
        receive_maximum=getattr(found, "ReceiveMaximum", 65535),
        packet_bytes=getattr(found, "MaximumPacketSize", None),
        retains=getattr(found, "RetainAvailable", 1) == 1,
        shared_subscriptions=getattr(found, "SharedSubscriptionAvailable", 1) == 1,
        session_expiry_s=getattr(found, "SessionExpiryInterval", None),
    )


class Client(paho.Client):
    """paho, except for how it dials and where it reads.

    A socket is closed when nobody answers or TLS fails; paho 2.2 leaves it open. It never reads the socket:
    whoever serves it puts the packets that are meant for it into ``fed``.
    """

    dial: Callable[[], socket.socket]
    fed: bytearray

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self.fed:
            raise BlockingIOError
        piece = bytes(self.fed[:bufsize])
        del self.fed[:bufsize]
        return piece

    def _create_socket(self) -> socket.socket:
        return self.dial()


def _open_socket(endpoint: Endpoint, tls: ssl.SSLContext | None) -> socket.socket:
    if endpoint.unix is None:
        opened = socket.create_connection((endpoint.host, endpoint.port), timeout=ANSWER_S)
    else:
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(ANSWER_S)
    try:
        if endpoint.unix is not None:
            opened.connect(str(endpoint.unix))
        # The handshake is part of wrapping, within the same time.
        return tls.wrap_socket(opened, server_hostname=endpoint.host) if tls is not None else opened
    except BaseException:
        opened.close()
        raise


def make_client(endpoint: Endpoint, hello: Hello, *, tls: ssl.SSLContext | None) -> Client:
    """A client of paho that knows who it is and does nothing by itself."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=hello.client_id,
        protocol=paho.MQTTv5,
        transport="tcp" if endpoint.unix is None else "unix",
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.fed = bytearray()
    client.dial = lambda: _open_socket(endpoint, tls)
    if hello.login is not None:
        client.username_pw_set(hello.login.user, hello.login.password)
    if tls is not None:
        client.tls_set_context(tls)
    if (will := hello.will) is not None:
        client.will_set(will.topic, will.payload, qos=1, retain=will.retain, properties=of_will(will))
    client.connect_timeout = ANSWER_S
    return client


def dial(client: paho.Client, endpoint: Endpoint, hello: Hello) -> None:
    """Connect, with the TLS handshake, and queue the CONNECT. Blocks; raises ``OSError``."""
    properties = empty(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = hello.session_expiry_s
    properties.ReceiveMaximum = hello.receive_maximum
    properties.MaximumPacketSize = LARGEST_BYTES
    client.connect(
        endpoint.host if endpoint.unix is None else str(endpoint.unix),
        endpoint.port or 1,  # not used with a Unix socket, and not allowed to be 0
        keepalive=hello.keepalive_s,
        clean_start=hello.session_expiry_s == 0,
        properties=properties,
    )
