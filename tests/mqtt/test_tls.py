"""TLS to a real mosquitto: our authority, another one, another name, and certificates of clients."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.errors import CarrierRefused
from agentorchestr.mqtt.broker import find_mosquitto
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, TlsFiles
from tests.mqtt.conftest import soon
from tests.swarm.transport_contract import ready, taken

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates of this test"),
]


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


def make_authority(folder: Path, name: str) -> None:
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
    )  # fmt: skip


def make_certificate(folder: Path, name: str, authority: str, extension: str) -> None:
    openssl(
        folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
        "-keyout", f"{name}.key", "-out", f"{name}.csr",
    )  # fmt: skip
    (folder / f"{name}.ext").write_text(extension)
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
        "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
    )  # fmt: skip


@dataclass(frozen=True)
class Secured:
    """A mosquitto with one listener for anybody who trusts us, and one for who has a certificate."""

    certificates: Path
    open_port: int
    client_port: int

    def endpoint(self, port: int, **files: str) -> Endpoint:
        named = {what: self.certificates / file for what, file in files.items()}
        return Endpoint(host="localhost", port=port, tls=TlsFiles(**named))


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    make_authority(folder, "ours")
    make_authority(folder, "theirs")
    make_certificate(folder, "server", "ours", "subjectAltName=DNS:localhost\n")
    make_certificate(folder, "agent", "ours", "extendedKeyUsage=clientAuth\n")
    make_certificate(folder, "stranger", "theirs", "extendedKeyUsage=clientAuth\n")
    return folder


@pytest.fixture
def secured(certificates: Path, tmp_path: Path) -> Iterator[Secured]:
    made = Secured(certificates, free_port(), free_port())
    common = f"certfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n"
    config = tmp_path / "tls.conf"
    config.write_text(
        f"allow_anonymous true\nuser root\n"
        f"listener {made.open_port} 127.0.0.1\n{common}"
        f"listener {made.client_port} 127.0.0.1\n{common}cafile {certificates}/ours.pem\nrequire_certificate true\n"
    )
    broker = subprocess.Popen(
        [find_mosquitto(""), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert until(lambda: answers(made.open_port) and answers(made.client_port), within_s=10)
        yield made
    finally:
        broker.terminate()
        broker.wait(10)


def answers(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


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
    await says_hello(secured.endpoint(secured.open_port, ca="ours.pem"))


async def test_a_certificate_lets_a_client_in(secured: Secured) -> None:
    await says_hello(secured.endpoint(secured.client_port, ca="ours.pem", cert="agent.pem", key="agent.key"))


@pytest.mark.parametrize("files", [{"ca": "theirs.pem"}, {}])
async def test_an_authority_we_do_not_know_is_refused(secured: Secured, files: dict[str, str]) -> None:
    with pytest.raises(CarrierRefused, match="certificate verify failed"):
        async with line(secured.endpoint(secured.open_port, **files)):
            pass


async def test_a_certificate_for_another_name_is_refused(secured: Secured) -> None:
    endpoint = replace(secured.endpoint(secured.open_port, ca="ours.pem"), host="127.0.0.1")
    with pytest.raises(CarrierRefused, match="not valid for"):
        async with line(endpoint):
            pass


@pytest.mark.parametrize("files", [{}, {"cert": "stranger.pem", "key": "stranger.key"}])
async def test_a_client_without_the_right_certificate_stays_outside(
    secured: Secured, files: dict[str, str]
) -> None:
    with pytest.raises(CarrierRefused):
        async with line(secured.endpoint(secured.client_port, ca="ours.pem", **files)):
            pass


async def test_a_plain_connection_to_a_tls_port_does_not_come_up(secured: Secured) -> None:
    async with asyncio.timeout(15), line(Endpoint(host="localhost", port=secured.open_port)) as me:
        assert not me.connected


async def test_a_large_letter_arrives_whole_over_tls(secured: Secured) -> None:
    async with line(secured.endpoint(secured.open_port, ca="ours.pem")) as me:
        await me.subscribe(["hello/#"])
        await me.publish("hello/me", b"x" * 900_000)
        assert await taken(me, 1) == [b"x" * 900_000]
        await soon(lambda: me.connected)
