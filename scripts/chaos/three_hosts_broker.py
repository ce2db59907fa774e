"""A mosquitto for other hosts, set up as docs/bus.md says: TLS, one login per agent, names bound to logins.

``bound`` is for agents with a login each. ``shared`` is for sessions, whose agents come in with one login of
their person: the rights there are of that login, and names are not bound.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.mqtt.broker import find_mosquitto
from agentorchestr.mqtt.broker_files import ACL, hashed

BOUND, SHARED = 8883, 8884
SESSION_RIGHTS = """
user {user}
topic write agentorchestr/v1/in/+/+/+/agentorchestr/+/+
topic read agentorchestr/v1/in/agentorchestr/+/+/#
topic write agentorchestr/v1/all/agentorchestr/+/+
topic read agentorchestr/v1/all/#
topic readwrite $a2a/v1/discovery/agentorchestr/+/+
topic read $a2a/v1/discovery/#
topic write $a2a/v1/request/+/+/+/#
topic read $a2a/v1/request/agentorchestr/+/+/#
topic write $a2a/v1/reply/+/+/+/#
topic read $a2a/v1/reply/agentorchestr/+/+/#
topic write $a2a/v1/event/agentorchestr/+/+/#
topic read $a2a/v1/event/#
"""


@dataclass(frozen=True)
class SharedBroker:
    """Its folder: certificates, configuration, and what it keeps."""

    folder: Path
    address: str

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def bound(self) -> str:
        return f"mqtts://{self.address}:{BOUND}"

    @property
    def shared(self) -> str:
        return f"mqtts://{self.address}:{SHARED}"

    def write(self, agents: dict[str, str], *, sessions: dict[str, str]) -> Path:
        """Write what mosquitto reads; both tables hold a password by login."""
        self.folder.mkdir(mode=0o700, parents=True)
        self._certify()
        everybody = {**agents, **sessions}
        rights = "".join(SESSION_RIGHTS.format(user=user) for user in sessions)
        (self.folder / "acl").write_text(f"{ACL}{rights}")
        (self.folder / "passwd").write_text("".join(f"{hashed(*one)}\n" for one in everybody.items()))
        tls = f"certfile {self.folder}/server.pem\nkeyfile {self.folder}/server.key\n"
        text = (
            f"listener {BOUND} {self.address}\n{tls}use_username_as_clientid true\nset_tcp_nodelay true\n"
            f"listener {SHARED} {self.address}\n{tls}"
            f"allow_anonymous false\npassword_file {self.folder}/passwd\nacl_file {self.folder}/acl\n"
            f"persistence true\npersistence_location {self.folder}/\nautosave_interval 10\n"
            f"max_queued_messages 2000000000\nmax_packet_size 1048576\n{_as_root()}"
        )
        config = self.folder / "mosquitto.conf"
        config.write_text(text)
        for name in ("acl", "passwd", "server.key"):
            (self.folder / name).chmod(0o600)
        return config

    def argv(self) -> list[str]:
        return [str(find_mosquitto(os.environ["PATH"])), "-c", str(self.folder / "mosquitto.conf")]

    def _certify(self) -> None:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        _openssl(
            self.folder, "req", "-x509", *curve, "-days", "2", "-subj", "/CN=authority",
            "-keyout", "ca.key", "-out", "ca.pem",
        )  # fmt: skip
        _openssl(
            self.folder, "req", *curve, "-subj", "/CN=broker", "-keyout", "server.key", "-out", "server.csr"
        )
        (self.folder / "server.ext").write_text(f"subjectAltName=IP:{self.address}\n")
        _openssl(
            self.folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "server.ext", "-out", "server.pem",
        )  # fmt: skip


def _as_root() -> str:
    return "user root\n" if os.geteuid() == 0 else ""


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)
