"""How long ``bus send`` and ``bus list`` take from a cold shell: a new process each, the broker runs."""

import resource
import statistics
import sys
from collections.abc import Iterator

from scripts.benchmarks.bus_runs import Ends
from scripts.benchmarks.measuring import Figure, timed_program
from scripts.benchmarks.start import COMMAND

RUNS = 20
BARS_MS = {"send": 150.0, "list": 250.0}


def measure_commands(ends: Ends) -> Iterator[Figure]:
    """The slowest of the runs must keep the bar; what stands at the broker are the cards of earlier runs."""
    [to] = ends.names("receiver", 1)
    words = {
        "send": ("bus", "send", "--agent-id", "person", to.agent, "hello"),
        "list": ("bus", "list"),
        "": (),
    }
    taken: dict[str, list[float]] = {name: [] for name in words}
    worked: dict[str, list[float]] = {name: [] for name in words}
    for number in range(RUNS + 1):
        for name, typed in words.items():
            argv = (*COMMAND, *typed) if typed else (sys.executable, "-c", "")
            before = _worked_ms()
            took = timed_program(argv, env=ends.env) * 1000
            if number:  # the first makes the login
                taken[name].append(took)
                worked[name].append(_worked_ms() - before)
    bare = statistics.median(taken.pop(""))
    for name, every in taken.items():
        median, work = statistics.median(every), statistics.median(worked[name])
        detail = f"median {median:.0f} ms, {work:.0f} ms of it at work; python itself {bare:.0f} ms"
        yield Figure(f"bus {name}, slowest of {RUNS}", max(every), "ms", BARS_MS[name], detail)


def _worked_ms() -> float:
    """Processor time of all programs that have ended: on a busy machine the rest is waiting for a turn."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000
