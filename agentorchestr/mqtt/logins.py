"""Who may come in to the private broker: one generated login per agent, bound to its address."""

import os
import signal

from agentorchestr.clock import until
from agentorchestr.errors import BusError
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import broker_folder, is_it, locked, read_record
from agentorchestr.mqtt.broker_files import BrokerFolder
from agentorchestr.mqtt.endpoint import Login
from agentorchestr.mqtt.knock import WELCOME, knock
from agentorchestr.paths import Paths

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
        _take_up(folder, folder.write_users(users))
        return True


def _take_up(folder: BrokerFolder, canary: Login) -> None:
    """Make the broker read its users again, and wait until it has."""
    record = read_record(folder)
    if record is None or not is_it(record.pid, record.started):
        return
    os.kill(record.pid, signal.SIGHUP)
    if not until(lambda: knock(record.socket, canary, timeout_s=RELOAD_S) == WELCOME, within_s=RELOAD_S):
        raise BusError(
            f"the broker (pid {record.pid}) does not take up a changed login",
            hint="end it with: agentorchestr bus down",
        )
