"""Run the groups that were asked for, and print one table. Ends with 1 when a limit is not kept."""

import argparse
import contextlib
import os
import platform
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from agentorchestr.errors import MissingDependency
from agentorchestr.mqtt.broker import find_mosquitto
from scripts.benchmarks import bus, bus_swarmbus, resuming, spawning, start, supervising, waking
from scripts.benchmarks.measuring import Figure, Group

GROUPS: tuple[Group, ...] = (
    *start.GROUPS,
    *spawning.GROUPS,
    *waking.GROUPS,
    *supervising.GROUPS,
    *resuming.GROUPS,
)
EVERYWHERE = frozenset(group.name for group in GROUPS)
"""What runs when no group is named; the bus needs a package of others, so it is asked for by name."""
GROUPS = (*GROUPS, *bus.GROUPS, *bus_swarmbus.GROUPS)
COLUMNS = (44, 12, 12, 8)


def main() -> int:
    chosen = _chosen()
    # So that a session under measurement is taken away when the run is ended from outside, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(_machine())
    print(_row("figure", "measured", "limit", "", "detail"))
    kept = True
    for group in chosen:
        for figure in group.measure():
            kept = kept and figure.holds
            print(_shown(figure), flush=True)
    return 0 if kept else 1


def _chosen() -> list[Group]:
    parser = argparse.ArgumentParser(
        prog="scripts/benchmarks/run",
        description="Measure what was promised.",
        epilog="groups: " + "; ".join(f"{group.name}: {group.about}" for group in GROUPS),
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="only these")
    wanted = parser.parse_args().groups
    unknown = set(wanted) - {group.name for group in GROUPS}
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    return [group for group in GROUPS if group.name in (wanted or EVERYWHERE)]


def _shown(figure: Figure) -> str:
    bound = ">=" if figure.more_is_better else "<="
    limit = "" if figure.limit is None else f"{bound} {figure.limit:g} {figure.unit}"
    verdict = "" if figure.limit is None else ("kept" if figure.holds else "MISSED")
    return _row(figure.name, f"{figure.value:.2f} {figure.unit}", limit, verdict, figure.detail)


def _row(*cells: str) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, COLUMNS, strict=False)]
    return "  ".join([*padded, *cells[len(COLUMNS) :]]).rstrip()


def _machine() -> str:
    versions = [
        f"Python {platform.python_version()}",
        *(_said(program, flag) for program, flag in (("git", "--version"), ("tmux", "-V"))),
        f"SQLite {sqlite3.sqlite_version}",
        *_installed("paho-mqtt", "aiomqtt"),
        *_broker(),
    ]
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    load = f"{os.getloadavg()[0]:.1f}"
    return f"{system}, {os.cpu_count()} cores, load {load} before; {', '.join(versions)}\n"


def _installed(*packages: str) -> Iterator[str]:
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            yield f"{package} {version(package)}"


def _broker() -> Iterator[str]:
    """Its version is the first line of its help text, which ends with 3."""
    with contextlib.suppress(MissingDependency):
        program = find_mosquitto(os.environ["PATH"])
        shown = subprocess.run([program, "-h"], check=False, capture_output=True, text=True).stdout
        yield shown.partition("\n")[0]


def _said(program: str, flag: str) -> str:
    return subprocess.run([program, flag], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
