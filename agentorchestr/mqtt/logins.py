"""Who may come in to the private broker: one generated login per agent, bound to its address."""

import signal
from collections.abc import Iterable

from agentorchestr.clock import until
from agentorchestr.errors import BusError
from agentorchestr.model.mail import Address
from agentorchestr.model.swarmbus import name_of
from agentorchestr.mqtt.broker import broker_folder, is_it, locked, read_record, start_again
from agentorchestr.mqtt.broker_files import BrokerFolder, Users
from agentorchestr.mqtt.door import Door
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
        _take_up(paths, folder, users=users, door=folder.read_door())
        return login


def add_swarmbus_login(paths: Paths, address: Address) -> Login:
    """The login that reads and is *address* on swarmbus: its user is its name there. As ``add_login``.

    Raises ``UsageError``, too, for an address without a name there, or whose name another one has.
    """
    folder = broker_folder(paths)
    with locked(folder):
        users, known = folder.read_users(), folder.read_door()
        door, name = known.opened(address), name_of(address)
        login = users.login(name)
        if login is None or door != known:
            login = login or users.renew(name)
            _take_up(paths, folder, users=users, door=door)
        return login


def remove_logins(paths: Paths, addresses: Iterable[Address]) -> bool:
    """Take the logins of *addresses* away and end their connections; whether there was one."""
    folder = broker_folder(paths)
    with locked(folder):
        users, door = folder.read_users(), folder.read_door()
        gone = {str(address) for address in addresses}
        named = [name for name, owner in door.names.items() if owner in gone]
        found = [user for user in (*gone, *named) if users.users.pop(user, None) is not None]
        if found:
            _take_up(paths, folder, users=users, door=door.without(named))
        return bool(found)


def open_to_swarmbus(paths: Paths) -> int:
    """Let clients of swarmbus that have a login come in; the port they come in by."""
    folder = broker_folder(paths)
    with locked(folder):
        door = folder.read_door()
        if not door.is_open:
            _take_up(paths, folder, users=folder.read_users(), door=door.opened())
        return folder.read_door().port


def _take_up(paths: Paths, folder: BrokerFolder, *, users: Users, door: Door) -> None:
    """Keep *users* and *door*, and return once the broker that runs goes by them."""
    canary, known = folder.write_users(users), folder.read_door()
    if door != known:
        folder.write_door(door)
    if door.is_open and not known.is_open:
        start_again(paths, folder)  # it takes up no new listener while it runs
    else:
        _reload(folder, canary)


def _reload(folder: BrokerFolder, canary: Login) -> None:
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
