"""Figures, and how they are taken: in one run, interleaved, by the median, since the machine is noisy."""

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row. *limit* is in the unit of *value*; None: shown for comparison, promised nowhere."""

    name: str
    value: float
    unit: str
    limit: float | None
    detail: str = ""
    more_is_better: bool = False
    """*limit* is the least, not the most."""

    @property
    def holds(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.more_is_better else self.value <= self.limit


@dataclass(frozen=True)
class Group:
    """Figures that are taken together."""

    name: str
    about: str
    measure: Callable[[], Iterator[Figure]]


def timed(act: Callable[[], object]) -> float:
    """Seconds that *act* takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def timed_program(argv: Sequence[str], *, env: dict[str, str] | None = None) -> float:
    """Seconds from the start of a program to its end; it must end well."""
    return timed(lambda: subprocess.run(argv, env=env, check=True, capture_output=True))


def interleaved(acts: Sequence[Callable[[], float]], *, rounds: int) -> list[float]:
    """The median of each act over *rounds*, taken in turns, after one round that does not count."""
    for act in acts:
        act()
    taken = [[act() for act in acts] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def p95(samples: Sequence[float]) -> float:
    """The value that 95 of 100 samples do not exceed (the next higher sample)."""
    ranked = sorted(samples)
    return ranked[min(len(ranked) - 1, -(-len(ranked) * 95 // 100) - 1)]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
