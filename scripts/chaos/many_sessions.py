"""Run many short sessions with practice agents, end each in its own way, and count what is left.

Everything has a home of its own: no session, process or file of the person is touched or counted.
"""

import argparse
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from scripts.chaos.left_running import bystanders, signalled
from scripts.chaos.sessions_yard import Counts, yard

WARM_UP = 2
"""After so many sessions the long-lived programs have opened what they keep open."""
ENDINGS = ("servers", "stop servers", "kill supervisor", "done", "stop", "kill worker")


def run(number: int, *, at_once: int, seed: int, clean_every: int) -> Counts:
    """Run *number* sessions, *at_once* side by side, with a clean-up after every *clean_every*."""
    rng = random.Random(seed)  # noqa: S311 - a run that can be repeated
    with (
        yard() as made,
        bystanders(made.home) as others,
        made.anchored(),
        ThreadPoolExecutor(at_once) as pool,
    ):
        before: dict[str, int] = {}
        for start in range(0, number, clean_every):
            batch = range(start, min(start + clean_every, number))
            # Each ending comes first once, then by chance.
            endings = [ENDINGS[n] if n < len(ENDINGS) else rng.choice(ENDINGS) for n in batch]
            made.counts.endings.update(endings)
            list(pool.map(made.run_one, batch, endings))
            if not before and batch[-1] + 1 >= min(WARM_UP, number):
                before = made.open_files()
            after = made.open_files()
            made.counts.open_files = {
                name: (before[name], after[name]) for name in before.keys() & after.keys()
            }
            made.clean()
            print(f"  {batch[-1] + 1} sessions, {made.counts.leaked} leaked", file=sys.stderr, flush=True)
        made.counts.foreign_signals = signalled(others)
        # Read by the caller after the session that stays was ended: a fault of that counts as well.
        return made.counts


def report(counts: Counts, *, took_s: float) -> str:
    """The figures as a person reads them."""
    rows = [
        ("sessions", counts.sessions, ", ".join(f"{n} {name}" for name, n in sorted(counts.endings.items()))),
        ("orphan processes", counts.orphans, ""),
        ("foreign signals", counts.foreign_signals, "to programs beside them that count what they get"),
        ("leaked worktrees", counts.worktrees, ""),
        ("leaked branches", counts.branches, "beyond those that hold work of their own, which clean names"),
        ("leaked sockets", counts.sockets, ""),
        ("leaked run folders", counts.run_folders, ""),
        ("leaked cgroups", counts.scopes, ""),
        *(
            (f"open files of {name}", after, f"{before} after the first sessions")
            for name, (before, after) in sorted(counts.open_files.items())
        ),
        ("faults", len(counts.faults), f"in {took_s:.0f} s"),
    ]
    lines = [f"{name:<24} {value:>6}  {detail}".rstrip() for name, value, detail in rows]
    return "\n".join([*lines, *(f"  fault: {fault}" for fault in counts.faults)])


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos/sessions", description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clean-every", type=int, default=20)
    given = parser.parse_args()
    began = time.monotonic()
    counts = run(given.number, at_once=given.at_once, seed=given.seed, clean_every=given.clean_every)
    print(report(counts, took_s=time.monotonic() - began))
    return 0 if counts.holds else 1


if __name__ == "__main__":
    sys.exit(main())
