"""Everything ``--detect`` shows, asked for at once."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from agentorchestr.agents.probe import Installed
from agentorchestr.doctor.programs import Program, keys_set, probe_program

PROGRAMS = ("tmux", "git", "mosquitto")


@dataclass(frozen=True)
class Detected:
    """What is on this machine. ``keys`` are names of variables, never values."""

    agents: tuple[Installed, ...]
    programs: tuple[Program, ...]
    keys: tuple[str, ...]


def detect_all(env: Mapping[str, str], *, probe: Callable[[], Sequence[Installed]]) -> Detected:
    """Ask agents and programs at the same time: as fast as the slowest single one."""
    with ThreadPoolExecutor(len(PROGRAMS) + 1) as pool:
        agents = pool.submit(probe)
        programs = list(pool.map(lambda name: probe_program(name, env=env), PROGRAMS))
        return Detected(tuple(agents.result()), tuple(programs), keys_set(env))
