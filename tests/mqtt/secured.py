"""A mosquitto with TLS, and the authorities and certificates to get in with, or not."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.mqtt.broker import find_mosquitto
from agentorchestr.mqtt.endpoint import Endpoint, TlsFiles

NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificates of this test"
)
USER, PASSWORD = "ann", "quite secret"


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


def make_authority(folder: Path, name: str) -> None:
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
    )  # fmt: skip


def make_certificate(folder: Path, name: str, authority: str, extension: str, *, days: int = 2) -> None:
    openssl(
        folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
        "-keyout", f"{name}.key", "-out", f"{name}.csr",
    )  # fmt: skip
    (folder / f"{name}.ext").write_text(extension)
    openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
        "-CAcreateserial", "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem",
    )  # fmt: skip


@dataclass(frozen=True)
class Secured:
    """A mosquitto with one listener per way in: the names of ``Secured.ports``."""

    certificates: Path
    ports: dict[str, int]

    def endpoint(self, way: str, **files: str) -> Endpoint:
        return Endpoint(host="localhost", port=self.ports[way], tls=TlsFiles(**self.files(**files)))

    def files(self, **files: str) -> dict[str, Path]:
        return {what: self.certificates / file for what, file in files.items()}

    def url(self, way: str, *, host: str = "localhost") -> str:
        return f"mqtts://{host}:{self.ports[way]}"


def make_certificates(folder: Path) -> Path:
    make_authority(folder, "ours")
    make_authority(folder, "theirs")
    make_certificate(folder, "server", "ours", "subjectAltName=DNS:localhost\n")
    make_certificate(folder, "expired", "ours", "subjectAltName=DNS:localhost\n", days=-1)
    make_certificate(folder, "agent", "ours", "extendedKeyUsage=clientAuth\n")
    make_certificate(folder, "stranger", "theirs", "extendedKeyUsage=clientAuth\n")
    return folder


@contextmanager
def secured_broker(certificates: Path, folder: Path) -> Iterator[Secured]:
    made = Secured(
        certificates, {way: free_port() for way in ("open", "client", "expired", "login", "plain")}
    )
    passwords = folder / "passwords"
    passwords.write_text("")
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), USER, PASSWORD], check=True, timeout=60)
    config = folder / "tls.conf"
    config.write_text(_configuration(made, passwords))
    broker = subprocess.Popen(
        [find_mosquitto(""), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert until(lambda: all(map(answers, made.ports.values())), within_s=10)
        yield made
    finally:
        broker.terminate()
        broker.wait(10)


def _configuration(made: Secured, passwords: Path) -> str:
    def keys(name: str) -> str:
        return f"certfile {made.certificates}/{name}.pem\nkeyfile {made.certificates}/{name}.key\n"

    anybody = "allow_anonymous true\n"
    ways = {
        "open": anybody + keys("server"),
        "client": f"{anybody}{keys('server')}cafile {made.certificates}/ours.pem\nrequire_certificate true\n",
        "expired": anybody + keys("expired"),
        "login": f"allow_anonymous false\npassword_file {passwords}\n{keys('server')}",
        "plain": anybody,
    }
    listeners = [f"listener {made.ports[way]} 127.0.0.1\n{lines}" for way, lines in ways.items()]
    return "per_listener_settings true\nuser root\n" + "".join(listeners)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
