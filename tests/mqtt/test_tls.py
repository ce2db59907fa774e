"""TLS to a real mosquitto: our authority, another one, another name, and certificates of clients."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login, TlsFiles
from agentorchestr.mqtt.probe import greet
from tests.mqtt.conftest import soon
from tests.mqtt.secured import NEEDS_OPENSSL, PASSWORD, USER, Secured, make_certificates, secured_broker
from tests.swarm.transport_contract import ready, taken

pytestmark = [pytest.mark.anyio, NEEDS_OPENSSL]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_broker(
        make_certificates(tmp_path_factory.mktemp("pki")), tmp_path_factory.mktemp("tls")
    ) as made:
        yield made


def line(endpoint: Endpoint) -> MqttConnection:
    return MqttConnection(endpoint, client_id="o/u/a", login=None, will=None, session_expiry_s=0)


async def says_hello(endpoint: Endpoint) -> None:
    async with line(endpoint) as me:
        await me.subscribe(["hello/#"])
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(me.publish("hello/me", f"{number}".encode() * 300))
        assert await taken(me, 200) == [f"{number}".encode() * 300 for number in range(200)]
        me.cut()
        await ready(me)
        await me.publish("hello/me", b"again")
        assert await taken(me, 1) == [b"again"]


async def test_our_own_authority_is_trusted(secured: Secured) -> None:
    await says_hello(secured.endpoint("open", ca="ours.pem"))


async def test_a_certificate_lets_a_client_in(secured: Secured) -> None:
    await says_hello(secured.endpoint("client", ca="ours.pem", cert="agent.pem", key="agent.key"))


@pytest.mark.parametrize("files", [{"ca": "theirs.pem"}, {}])
async def test_an_authority_we_do_not_know_is_refused(secured: Secured, files: dict[str, str]) -> None:
    with pytest.raises(CarrierRefused, match=r"not trusted: .*issuer certificate"):
        async with line(secured.endpoint("open", **files)):
            pass


async def test_a_certificate_for_another_name_is_refused(secured: Secured) -> None:
    endpoint = replace(secured.endpoint("open", ca="ours.pem"), host="127.0.0.1")
    with pytest.raises(CarrierRefused, match="not valid for"):
        async with line(endpoint):
            pass


@pytest.mark.parametrize("files", [{}, {"cert": "stranger.pem", "key": "stranger.key"}])
async def test_a_client_without_the_right_certificate_stays_outside(
    secured: Secured, files: dict[str, str]
) -> None:
    with pytest.raises(CarrierRefused):
        async with line(secured.endpoint("client", ca="ours.pem", **files)):
            pass


async def test_a_plain_connection_to_a_tls_port_does_not_come_up(secured: Secured) -> None:
    async with asyncio.timeout(15), line(Endpoint(host="localhost", port=secured.ports["open"])) as me:
        assert not me.connected


async def test_a_large_letter_arrives_whole_over_tls(secured: Secured) -> None:
    async with line(secured.endpoint("open", ca="ours.pem")) as me:
        await me.subscribe(["hello/#"])
        await me.publish("hello/me", b"x" * 900_000)
        assert await taken(me, 1) == [b"x" * 900_000]
        await soon(lambda: me.connected)


async def test_a_certificate_that_is_over_is_refused(secured: Secured) -> None:
    with pytest.raises(CarrierRefused, match="certificate has expired") as told:
        await greet(secured.endpoint("expired", ca="ours.pem"), None)
    assert "renew" in told.value.hint


@pytest.mark.parametrize("login", [None, Login(USER, "guessed"), Login("somebody", PASSWORD)])
async def test_a_wrong_password_is_refused_and_the_hint_never_holds_it(
    secured: Secured, login: Login | None
) -> None:
    await greet(secured.endpoint("login", ca="ours.pem"), Login(USER, PASSWORD))
    with pytest.raises(CarrierRefused, match="Not authorized") as told:
        await greet(secured.endpoint("login", ca="ours.pem"), login)
    assert "AGENTORCHESTR_BROKER_PASSWORD" in told.value.hint
    assert "guessed" not in f"{told.value} {told.value.hint}"


async def test_the_wrong_port_is_told_as_such_with_what_to_type(secured: Secured) -> None:
    with pytest.raises(CarrierGone) as no_tls:
        await greet(secured.endpoint("plain", ca="ours.pem"), None)
    assert f"mqtt://localhost:{secured.ports['plain']}" in no_tls.value.hint
    with pytest.raises(CarrierGone) as tls:
        await greet(Endpoint(host="localhost", port=secured.ports["open"]), None)
    assert f"mqtts://localhost:{secured.ports['open']}" in tls.value.hint


async def test_a_server_that_speaks_something_else_is_told_as_such() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(CarrierRefused, match="does not speak TLS"):
            await greet(Endpoint(host="localhost", port=port, tls=TlsFiles()), None)
