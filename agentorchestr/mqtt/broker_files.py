"""What the private mosquitto reads: its configuration, its rights, its users."""

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentorchestr.errors import BusError
from agentorchestr.model.carrier import A2A_ROOT, LETTERS_ROOT
from agentorchestr.mqtt.door import Door
from agentorchestr.mqtt.endpoint import Login
from agentorchestr.paths import write_private

ADMIN = "admin"
"""The user of this machine's own person. No address is written like it."""
CANARY = "canary"
"""A user without rights whose password changes with every change, so that a reload can be seen."""
ITERATIONS = 101
"""As mosquitto_passwd has it; our passwords are random, so guessing is no matter of speed."""
PACKET_BYTES = 1024 * 1024
AUTOSAVE_S = 10
UNLIMITED = 2_000_000_000
"""With its own word for it, 0, mosquitto 2.0.11 hangs up on whoever publishes what is not allowed."""

CONFIG = """\
# Written at each start; a change here is lost.
per_listener_settings false
pid_file mosquitto.pid
{user}
listener 0 run/{socket}
use_username_as_clientid true
listener {port} 127.0.0.1
use_username_as_clientid true
set_tcp_nodelay true
allow_anonymous false
password_file passwd
acl_file acl
persistence true
persistence_location ./
persistence_file mosquitto.db
autosave_on_changes false
autosave_interval {autosave}
max_queued_messages {unlimited}
max_inflight_messages 1000
max_packet_size {packet}
sys_interval 0
connection_messages false
log_dest file mosquitto.log
log_type error
"""
"""All paths are relative to the folder the broker runs in, so no name of a folder can break a line.

Warnings are not logged: each connection on the Unix socket makes one, for TCP_NODELAY."""

# %u is the login, and the login is the client id: what stands in a topic is who sent it.
ACL = f"""\
user {ADMIN}
topic read {LETTERS_ROOT}/#
topic readwrite {A2A_ROOT}/#
topic readwrite agentorchestr/probe/#

pattern write {LETTERS_ROOT}/in/+/+/+/%u
pattern write {LETTERS_ROOT}/all/%u
pattern read {LETTERS_ROOT}/in/%u/#
pattern write {LETTERS_ROOT}/get/+/+/+/%u
pattern read {LETTERS_ROOT}/get/%u/#
pattern write {LETTERS_ROOT}/piece/+/+/+/%u
pattern read {LETTERS_ROOT}/piece/%u/#
pattern read {LETTERS_ROOT}/all/#
pattern write {A2A_ROOT}/discovery/%u
pattern read {A2A_ROOT}/discovery/#
pattern write {A2A_ROOT}/request/+/+/+/#
pattern read {A2A_ROOT}/request/%u/#
pattern write {A2A_ROOT}/reply/+/+/+/#
pattern read {A2A_ROOT}/reply/%u/#
pattern write {A2A_ROOT}/event/%u/#
pattern read {A2A_ROOT}/event/#
"""


class StoredLogin(BaseModel):
    """One line of the users' file, and the password behind it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    password: str
    line: str


class Users(BaseModel):
    """Everybody who may come in, by login."""

    model_config = ConfigDict(extra="forbid")

    users: dict[str, StoredLogin] = Field(default_factory=dict)

    def login(self, user: str) -> Login | None:
        """The login of *user*, or None."""
        found = self.users.get(user)
        return Login(user, found.password) if found else None

    def renew(self, user: str) -> Login:
        """Give *user* a new password."""
        password = secrets.token_urlsafe(32)
        self.users[user] = StoredLogin(password=password, line=hashed(user, password))
        return Login(user, password)


@dataclass(frozen=True)
class BrokerFolder:
    """The files of the broker that last: users, kept messages, and the record of what runs."""

    path: Path

    def write_config(self, *, port: int, socket: Path, door: Door | None = None) -> Path:
        """Write configuration and rights for a start, and lead ``run/`` to the folder of *socket*.

        *door* lets swarmbus's clients in.
        """
        door = door or Door()
        link = self.path / "run"
        link.unlink(missing_ok=True)
        link.symlink_to(socket.parent)
        # As root mosquitto would become another user, who may not look into a private folder.
        user = "user root" if os.geteuid() == 0 else ""
        text = CONFIG.format(
            user=user,
            port=port,
            socket=socket.name,
            packet=PACKET_BYTES,
            autosave=AUTOSAVE_S,
            unlimited=UNLIMITED,
        )
        write_private(self.path / "acl", ACL + door.rights)
        for name in ("mosquitto.pid", "mosquitto.log"):
            write_private(self.path / name, "")
        return write_private(self.path / "mosquitto.conf", text + door.listener)

    def read_door(self) -> Door:
        """Who of swarmbus may come in. Raises ``BusError`` for a file that was damaged."""
        file = self.path / "swarmbus.json"
        try:
            return Door.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            return Door()
        except ValidationError as exc:
            raise BusError(f"the broker's names in {file} cannot be read", hint=f"remove {file}") from exc

    def write_door(self, door: Door) -> None:
        """Keep *door* for the next start."""
        write_private(self.path / "swarmbus.json", door.model_dump_json())

    def pid(self) -> int | None:
        """What mosquitto wrote into its pid file, or None."""
        try:
            return int((self.path / "mosquitto.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def log_tail(self) -> str:
        """The last lines of mosquitto's log, as one."""
        try:
            lines = (self.path / "mosquitto.log").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return " · ".join(line.partition(": ")[2] or line for line in lines[-3:])

    def read_users(self) -> Users:
        """Everybody who may come in; the admin always. Raises ``BusError`` for a file that was damaged."""
        file = self.path / "users.json"
        try:
            users = Users.model_validate_json(file.read_bytes())
        except FileNotFoundError:
            users = Users()
        except ValidationError as exc:
            raise BusError(f"the broker's users in {file} cannot be read", hint=f"remove {file}") from exc
        if ADMIN not in users.users:
            users.renew(ADMIN)
        return users

    def write_users(self, users: Users) -> Login:
        """Write the users for us and for mosquitto, and return the canary that works once they hold."""
        canary = users.renew(CANARY)
        write_private(self.path / "users.json", users.model_dump_json())
        write_private(self.path / "passwd", "".join(f"{one.line}\n" for one in users.users.values()))
        return canary


def hashed(user: str, password: str) -> str:
    """A line of mosquitto's password file: PBKDF2 with SHA-512. Source: mosquitto_passwd of 2.0."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    words = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"{user}:$7${ITERATIONS}${'$'.join(words)}"
