"""Programs of others that agents of ours talk with, as published, each in a process of its own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentorchestr.bus.line import Place
from agentorchestr.bus.names import address_of
from agentorchestr.mqtt.broker import find_mosquitto, stop_broker
from agentorchestr.paths import Paths
from tests.bus.conftest import Shell
from tests.neighbours.swarmbus import Swarmbus, free_port, installed

__all__ = ["Shell"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def env(private_home: dict[str, str]) -> Iterator[dict[str, str]]:
    yield {**private_home, "PYTHONPATH": os.fspath(ROOT)}
    stop_broker(Paths.from_env(private_home))


@pytest.fixture
def place(env: dict[str, str]) -> Callable[[str], Place]:
    return lambda name: Place.of(env, address_of(name), compat="swarmbus")


@pytest.fixture
def shell(env: dict[str, str], tmp_path: Path) -> Iterator[Shell]:
    one = Shell(env, tmp_path)
    yield one
    one.end_all()


@pytest.fixture
def swarmbus(tmp_path: Path) -> Iterator[Callable[..., Swarmbus]]:
    """Makes clients of the published swarmbus; what they started ends with the test."""
    program = installed()
    if program is None:
        pytest.skip("swarmbus-py is not installed: ./scripts/install-neighbours")
    made: list[Swarmbus] = []

    def make(name: str, port: int, **env: str) -> Swarmbus:
        made.append(Swarmbus(program, name, port, tmp_path, env))
        return made[-1]

    yield make
    for one in made:
        one.end_all()


@pytest.fixture
def open_broker(short_dir: Path) -> Iterator[int]:
    """The port of somebody's mosquitto that asks nobody for a login."""
    port = free_port()
    config = short_dir / "open.conf"
    # As root it would become another user, who may not read a private folder.
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{user}")
    program = find_mosquitto(os.environ["PATH"])
    with subprocess.Popen(
        [program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        yield port
        child.kill()


@pytest.fixture
def mosquitto_clients() -> tuple[str, str]:
    found = shutil.which("mosquitto_pub"), shutil.which("mosquitto_sub")
    if found[0] is None or found[1] is None:
        pytest.skip("mosquitto_pub and mosquitto_sub are not installed: apt-get install mosquitto-clients")
    return found[0], found[1]
