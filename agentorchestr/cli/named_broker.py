"""The broker a person named: seen before a session starts, and tried out for the doctor."""

import asyncio
import logging

from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.errors import BusError, CarrierGone
from agentorchestr.model.broker import BrokerAbilities
from agentorchestr.mqtt.endpoint import (
    Endpoint,
    Login,
    address_of_login,
    login_from_env,
    parse_broker_url,
    tls_from_env,
    with_whole_paths,
)


def keep_quiet() -> None:
    """Let no line of the connection's log reach the terminal: what went wrong is told by us, once."""
    logging.getLogger("agentorchestr.mqtt").addHandler(logging.NullHandler())


def dialled(shell: Shell, url: str) -> tuple[Endpoint, Login | None]:
    """Where the broker is and who we are there. Raises ``UsageError``."""
    env = with_whole_paths(shell.env, shell.cwd)
    return parse_broker_url(url, tls=tls_from_env(env)), login_from_env(env)


def check_broker(shell: Shell, screen: Screen, url: str) -> str:
    """Give the broker's URL once it lets us in; one that is not there now may come later, which is told.

    Raises ``UsageError`` and ``CarrierRefused``.
    """
    if not url:
        return url
    from agentorchestr.mqtt.probe import greet

    endpoint, login = dialled(shell, url)
    keep_quiet()
    try:
        asyncio.run(greet(endpoint, login))
    except CarrierGone as exc:
        screen.note(f"{exc}; agents come to the bus when it does. {exc.hint}")
    return url


def try_broker(shell: Shell, url: str) -> tuple[str, BrokerAbilities | BusError]:
    """Where the broker is, and what it can do or why that is not known. Raises ``UsageError``."""
    from agentorchestr.mqtt.probe import probe_broker

    endpoint, login = dialled(shell, url)
    keep_quiet()
    try:
        return str(endpoint), asyncio.run(probe_broker(endpoint, login, address=address_of_login(login)))
    except BusError as exc:
        return str(endpoint), exc
