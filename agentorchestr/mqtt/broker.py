"""The private mosquitto of one user: started when needed, shared by all sessions, ended by its last user."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentorchestr.clock import until
from agentorchestr.errors import BusError, MissingDependency, UsageError
from agentorchestr.mqtt.broker_files import ADMIN, BrokerFolder
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.knock import knock
from agentorchestr.paths import SOCKET_PATH_BYTES, Paths, ensure_private, write_private
from agentorchestr.process import CLOCK_SLACK_S, run, start_time
from agentorchestr.process_table import signal_process

START_S = 10.0
STOP_S = 5.0
KNOCK_S = 2.0
TRIES = 5
SYSTEM_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/local/opt/mosquitto/sbin")
"""Where mosquitto lies on systems that keep servers off a person's PATH."""
INSTALLERS = {
    "apt-get": "sudo apt-get install mosquitto",
    "dnf": "sudo dnf install mosquitto",
    "pacman": "sudo pacman -S mosquitto",
    "zypper": "sudo zypper install mosquitto",
    "apk": "sudo apk add mosquitto",
    "brew": "brew install mosquitto",
}


class Record(BaseModel):
    """What runs, as it was started: enough to find it, and to know that a pid is still it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    started: float
    port: int
    socket: Path
    stays: bool = False
    """Started by hand: it ends when asked, not with its last user."""
    holders: dict[str, tuple[int, float]] = Field(default_factory=dict)
    """Who needs it: pid and start time by name."""


@dataclass(frozen=True)
class BrokerHandle:
    """A broker that runs."""

    endpoint_unix: Endpoint
    endpoint_tcp: Endpoint
    admin: Login
    pid: int


def broker_folder(paths: Paths) -> BrokerFolder:
    """The private folder of the broker, made if missing."""
    return BrokerFolder(ensure_private(paths.state / "broker"))


def socket_path(paths: Paths) -> Path:
    """Where a broker that starts now listens. Raises ``UsageError`` when no socket's address holds it."""
    path = paths.run / "mqtt.sock"
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise UsageError(
            f"the path of the broker's socket is too long: {path}",
            hint="set XDG_RUNTIME_DIR to a short private directory of yours",
        )
    return path


def find_mosquitto(path: str, *, places: tuple[str, ...] = SYSTEM_PLACES) -> Path:
    """The broker program. Raises ``MissingDependency`` with the command that installs it."""
    found = shutil.which("mosquitto", path=os.pathsep.join((path, *places)))
    if found is None:
        command = next((line for tool, line in INSTALLERS.items() if shutil.which(tool, path=path)), "")
        raise MissingDependency(
            "mosquitto, the MQTT broker, is not installed",
            hint=command or "install mosquitto 2.0 or newer: https://mosquitto.org/download/",
        )
    return Path(found)


def ensure_broker(
    paths: Paths, *, holder: str = "", stays: bool = False, program: Path | None = None
) -> BrokerHandle:
    """Find this user's broker, or start it; what it had kept is there again.

    It lives on when we end. It ends with ``stop_broker``, or when the last *holder* that living processes
    named has called ``leave_broker``; with *stays* only by ``stop_broker``.

    Raises ``MissingDependency`` without mosquitto, ``BusError`` when it does not start or hangs.
    """
    folder = broker_folder(paths)
    record = read_record(folder)
    if record is not None and not holder and record.stays >= stays and _answers(record):
        return _handle(folder, record)
    with locked(folder):
        record = _running(folder) or _start(paths, folder, program=program)
        if holder:
            mine = (os.getpid(), start_time(os.getpid()) or 0.0)
            record = record.model_copy(update={"holders": {**record.holders, holder: mine}})
        record = record.model_copy(update={"stays": record.stays or stays})
        _write_record(folder, record)
        return _handle(folder, record)


def leave_broker(paths: Paths, holder: str) -> bool:
    """Say that *holder* needs the broker no more; whether that ended it, as the last one that lived."""
    folder = broker_folder(paths)
    with locked(folder):
        record = read_record(folder)
        if record is None:
            return False
        living = {name: who for name, who in record.holders.items() if name != holder and is_it(*who)}
        record = record.model_copy(update={"holders": living})
        if living or record.stays:
            _write_record(folder, record)
            return False
        return _end(folder, record)


def stop_broker(paths: Paths) -> bool:
    """End the broker; whether one ran. What it keeps stays on disk for the next; swarmbus is out."""
    folder = broker_folder(paths)
    with locked(folder):
        record, door = read_record(folder), folder.read_door()
        if door.is_open:
            folder.write_door(door.model_copy(update={"is_open": False}))
        return record is not None and _end(folder, record)


def start_again(paths: Paths, folder: BrokerFolder) -> None:
    """End a broker that runs and start it with what its files say now; for who holds ``locked``."""
    record = read_record(folder)
    if record is not None and is_it(record.pid, record.started):
        _end_process(record.pid, record.started)
        _write_record(folder, _start(paths, folder, program=None))


@contextlib.contextmanager
def locked(folder: BrokerFolder) -> Iterator[None]:
    """Hold the broker's files for one change. Raises ``BusError`` when another process does for too long."""
    fd = os.open(folder.path / "lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        if not until(lambda: _try_lock(fd), within_s=TRIES * START_S):
            raise BusError("another process is busy with the broker for too long", hint="try again")
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_record(folder: BrokerFolder) -> Record | None:
    """What was started last and not ended by us; it may be dead. None, too, when the file is no record."""
    try:
        return Record.model_validate_json((folder.path / "broker.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write_record(folder: BrokerFolder, record: Record) -> None:
    write_private(folder.path / "broker.json", record.model_dump_json())


def is_it(pid: int, started: float) -> bool:
    """Whether *pid* is still the process that started then, and no later one with its number."""
    now = start_time(pid)
    return now is not None and abs(now - started) < CLOCK_SLACK_S


def _answers(record: Record) -> bool:
    # The socket lies in a folder that only we may enter, so who answers there is ours.
    return knock(record.socket, None, timeout_s=KNOCK_S) is not None


def _handle(folder: BrokerFolder, record: Record) -> BrokerHandle:
    admin = folder.read_users().login(ADMIN)
    if admin is None:
        raise BusError("the broker has no admin", hint="agentorchestr bus down")
    return BrokerHandle(
        Endpoint(unix=record.socket), Endpoint(host="127.0.0.1", port=record.port), admin, record.pid
    )


def _running(folder: BrokerFolder) -> Record | None:
    """The broker that runs and can be reached, or None; one without its socket is ended."""
    record = read_record(folder)
    if record is None or not is_it(record.pid, record.started):
        return None
    if not record.socket.exists():
        # Some systems clear the runtime folder when the person logs out.
        _end_process(record.pid, record.started)
        return None
    if not until(lambda: _answers(record), within_s=START_S):
        raise BusError(
            f"the broker (pid {record.pid}) runs and does not answer",
            hint="end it with: agentorchestr bus down",
        )
    return record


def _start(paths: Paths, folder: BrokerFolder, *, program: Path | None) -> Record:
    program = program or find_mosquitto(os.environ.get("PATH", ""))
    listening = socket_path(paths)
    ensure_private(listening.parent)
    old = read_record(folder)
    port, door = old.port if old else 0, folder.read_door()
    for _ in range(TRIES):
        port = _free_port(port)
        if door.is_open:
            door = door.model_copy(update={"port": _free_port(door.port)})
            folder.write_door(door)
        folder.write_config(port=port, socket=listening, door=door)
        folder.write_users(folder.read_users())
        pid = _launch(program, folder)
        started = start_time(pid) if pid else None
        if pid and started is not None and _comes_up(pid, listening):
            listening.chmod(0o600)
            keep = {"stays": old.stays, "holders": old.holders} if old else {}
            return Record(pid=pid, started=started, port=port, socket=listening, **keep)
        if pid and started is not None:
            _end_process(pid, started)
        if "in use" not in folder.log_tail():
            break
        port, door = 0, door.model_copy(update={"port": 0})
    raise BusError(
        f"mosquitto did not start: {folder.log_tail() or 'it said nothing'}",
        hint=f"see {folder.path / 'mosquitto.log'}",
    )


def _free_port(wanted: int) -> int:
    """*wanted*, so that clients find the broker again, or any other when it is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", wanted))
        except OSError:
            trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _launch(program: Path, folder: BrokerFolder) -> int | None:
    """Run mosquitto into the background, where it has a session of its own, and return its pid."""
    done = run(
        [program, "-c", "mosquitto.conf", "-d"],
        timeout_s=START_S,
        cwd=folder.path,
        env={"PATH": os.defpath, "LANG": "C"},
    )
    if done.returncode:
        raise BusError(f"mosquitto refused its configuration: {done.error_text or done.text.strip()}")
    until(lambda: folder.pid() is not None, within_s=START_S)
    return folder.pid()


def _comes_up(pid: int, listening: Path) -> bool:
    def settled() -> bool:
        return knock(listening, None, timeout_s=KNOCK_S) is not None or start_time(pid) is None

    return until(settled, within_s=START_S) and start_time(pid) is not None


def _end(folder: BrokerFolder, record: Record) -> bool:
    ran = is_it(record.pid, record.started)
    if ran:
        _end_process(record.pid, record.started)
    for left in (
        record.socket,
        folder.path / "mosquitto.pid",
        folder.path / "run",
        folder.path / "broker.json",
    ):
        left.unlink(missing_ok=True)
    return ran


def _end_process(pid: int, started: float) -> None:
    for sig in (signal.SIGTERM, signal.SIGKILL):
        signal_process(pid, started, sig)
        if until(lambda: not is_it(pid, started), within_s=STOP_S):
            return
