"""Where an agent of the bus keeps its mail, who may run under its name, and how a running one is woken."""

import contextlib
import fcntl
import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.bus.names import LOCAL, ORG, short_name
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import UsageError
from agentorchestr.journal.mailbox import FILE_NAME, MailStore
from agentorchestr.model.mail import Address
from agentorchestr.paths import Paths, ensure_private

BRIEF_S = 20.0
"""A command, or who carries mail, lets go within this time."""
LOOK_S = 0.05


class InstanceRuns(UsageError):
    """Another process runs under this name; ``pid`` is 0 when it could not be told."""

    def __init__(self, me: Address, pid: int) -> None:
        who = f" (pid {pid})" if pid else ""
        super().__init__(
            f"an instance of {short_name(me)} runs already{who}",
            hint="stop it first, or take another name; sending and reading work beside it",
        )
        self.pid = pid


@dataclass(frozen=True)
class Home:
    """The folder of one agent on one broker."""

    me: Address
    folder: Path
    bell: Path
    """A socket that a running instance listens at: a datagram means that the mail file was changed."""

    @property
    def login_file(self) -> Path:
        """Our own login at the private broker."""
        return self.folder / "login"

    @property
    def admitted(self) -> Path:
        """Exists once the private broker was opened to swarmbus for us."""
        return self.folder / "swarmbus"

    def open_store(self) -> MailStore:
        """Open the mail file, made if missing."""
        ensure_private(self.folder)
        return MailStore(self.folder / FILE_NAME)

    def ring(self) -> bool:
        """Tell a running instance to look at the mail file; False when none listens."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as caller:
            caller.setblocking(False)
            try:
                caller.sendto(b"!", str(self.bell))
            except BlockingIOError:
                return True  # it has not looked yet, so it will
            except OSError:
                return False
        return True


def home_of(paths: Paths, me: Address, broker: str = "") -> Home:
    """The home of *me*; letters for another *broker* than the private one are kept apart."""
    # "~" is in no id, so two addresses never share a folder.
    name = me.agent if (me.org, me.unit) == (ORG, LOCAL) else f"{me.org}~{me.unit}~{me.agent}"
    folder = paths.state / "bus" / name
    if broker:
        folder /= f"at~{hashlib.sha256(broker.encode()).hexdigest()[:12]}"
    key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Home(me, folder, paths.run / "bus" / f"{key}.sock")


class InstanceLock:
    """Held by whoever acts under an agent's name at the broker. The system lets go of it with the process."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._fd = -1

    def try_lock(self) -> bool:
        """Whether nobody else holds it, and we do now."""
        fd = os.open(
            ensure_private(self._home.folder) / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600
        )
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())
        self._fd = fd
        return True

    def holder(self) -> int:
        """The pid of who holds it, or held it last; 0 when that cannot be told."""
        try:
            return int((self._home.folder / "lock").read_text())
        except (OSError, ValueError):
            return 0

    def release(self) -> None:
        """Let go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


async def hold_as_instance(home: Home, *, clock: Clock = SYSTEM_CLOCK) -> InstanceLock:
    """Become the running instance of an agent.

    Who holds the lock and has no bell is a command that sends, or another agent that carries this one's
    mail: soon gone, so it is waited for. Raises ``InstanceRuns``.
    """
    lock = InstanceLock(home)
    gives_up_at = clock.monotonic() + BRIEF_S
    while not lock.try_lock():
        if home.ring() or clock.monotonic() > gives_up_at:
            raise InstanceRuns(home.me, lock.holder())
        await clock.pause(LOOK_S)
    return lock


def open_bell(home: Home) -> socket.socket:
    """A socket that ``ring`` reaches. For the one that holds the lock."""
    ensure_private(home.bell.parent)
    with contextlib.suppress(FileNotFoundError):
        home.bell.unlink()
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        bell.setblocking(False)
        bell.bind(str(home.bell))
    except OSError as exc:
        bell.close()
        raise UsageError(
            f"the path of the agent's socket is too long: {home.bell}",
            hint="set XDG_RUNTIME_DIR to a short private directory of yours",
        ) from exc
    return bell


def drain(bell: socket.socket) -> None:
    """Read every ring that waits."""
    with contextlib.suppress(BlockingIOError):
        while bell.recv(16):
            pass
