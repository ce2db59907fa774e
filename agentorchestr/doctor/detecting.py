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


def detect_all(
    env: Mapping[str, str],
    *,
    probe: Callable[[], Sequence[Installed]],
    meanwhile: Callable[[], object] = lambda: None,
) -> Detected:
    """Ask agents and programs at the same time: as fast as the slowest single one.

    *meanwhile* is called once all were asked, while they think about it.
    """
    with ThreadPoolExecutor(len(PROGRAMS) + 1) as pool:
        agents = pool.submit(probe)
        programs = pool.map(lambda name: probe_program(name, env=env), PROGRAMS)
        meanwhile()
        return Detected(tuple(agents.result()), tuple(programs), keys_set(env))
