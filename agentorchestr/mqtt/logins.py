"""Who may come in to the private broker: one generated login per agent, bound to its address."""

import signal

from agentorchestr.clock import until
from agentorchestr.errors import BusError
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import broker_folder, is_it, locked, read_record, start_again
from agentorchestr.mqtt.broker_files import BrokerFolder
from agentorchestr.mqtt.endpoint import Login
from agentorchestr.mqtt.knock import WELCOME, knock
from agentorchestr.paths import Paths
from agentorchestr.process_table import signal_process

RELOAD_S = 10.0


def add_login(paths: Paths, address: Address) -> Login:
    """The login of *address*, made when there is none; it works when this returns, if a broker runs.

    Raises ``BusError`` when the broker that runs does not take it.
    """
    folder = broker_folder(paths)
    with locked(folder):
        users = folder.read_users()
        if (known := users.login(str(address))) is not None:
            return known
        login = users.renew(str(address))
        _take_up(folder, folder.write_users(users))
        return login


def remove_login(paths: Paths, address: Address) -> bool:
    """Take the login of *address* away and end its connection; whether there was one."""
    folder = broker_folder(paths)
    with locked(folder):
        users = folder.read_users()
        if users.users.pop(str(address), None) is None:
            return False
        door = folder.read_door()
        if str(address) in door.names.values():
            door = door.without(address)
            folder.write_door(door)
            folder.write_rights(door)
        _take_up(folder, folder.write_users(users))
        return True


def open_to_swarmbus(paths: Paths, address: Address | None = None) -> int:
    """Let swarmbus's clients come in, and *address* speak with them; the port they come in by.

    A broker that runs is started again when it was closed to them before.

    Raises ``UsageError`` for an address without a name there, or whose name another one has.
    """
    folder = broker_folder(paths)
    with locked(folder):
        known = folder.read_door()
        door = known.opened(address)
        if door == known:
            return door.port
        folder.write_door(door)
        if not known.is_open:
            start_again(paths, folder)
        else:
            folder.write_rights(door)
            _take_up(folder, folder.write_users(folder.read_users()))
        return folder.read_door().port


def _take_up(folder: BrokerFolder, canary: Login) -> None:
    """Make the broker read its users again, and wait until it has."""
    record = read_record(folder)
    if record is None or not is_it(record.pid, record.started):
        return
    signal_process(record.pid, record.started, signal.SIGHUP)
    if not until(lambda: knock(record.socket, canary, timeout_s=RELOAD_S) == WELCOME, within_s=RELOAD_S):
        raise BusError(
            f"the broker (pid {record.pid}) does not take up a changed login",
            hint="end it with: agentorchestr bus down",
        )
