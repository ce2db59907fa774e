"""The bus under fire, with a report: ``./scripts/chaos/bus [--letters N] [--seed S] [SCENARIO …]``."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scripts.chaos.bus_disk import Disk, Found, full_receiver, full_sender, why_not
from scripts.chaos.bus_storm import Outcome, Plan, Storm

STORMS = {
    "storm": Plan(),
    "away": Plan(agents=4, letters=1_000, senders=3, pace_s=0.02, away=("a3",), broker_share=1.0),
    "sender": Plan(
        agents=2, letters=1_000, senders=1, pace_s=0.005, victims=("a0",), broker_share=0.0, kill_every_s=0.7
    ),
}
ABOUT = {
    "storm": "8 agents write to one another; the broker and they are killed -9 at random",
    "away": "one of 4 agents is down while the others write to it and each other, and the broker is killed",
    "sender": "a sender is killed -9 in the middle, again and again",
    "disk-sender": "the sender's disk is full",
    "disk-receiver": "the receiver's disk is full",
}
DISKS: dict[str, Callable[[Disk], Found]] = {"disk-sender": full_sender, "disk-receiver": full_receiver}


def private_env(folder: Path) -> dict[str, str]:
    """An environment whose home is below *folder*."""
    for name in ("home", "run"):
        (folder / name).mkdir(mode=0o700)
    return {
        "HOME": str(folder / "home"),
        "XDG_RUNTIME_DIR": str(folder / "run"),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
    }


def tell_storm(found: Outcome) -> bool:
    rows = (
        ("letters", found.letters),
        ("broker killed -9", found.broker_kills),
        ("agents killed -9", found.agent_kills),
        ("lost", found.lost),
        ("acted on twice", found.acted_twice),
        ("told more than was so", found.told_falsely),
        ("acted on, sender not told", found.not_told),
        ("sent more than once", found.tried_again),
        ("seconds in all", f"{found.took_s:.0f}"),
        ("seconds from the last kill to the last receipt", f"{found.settled_s:.0f}"),
    )
    for name, value in rows:
        print(f"  {name:<48} {value:>8}")
    for note in found.notes:
        print(f"  ! {note}")
    return found.good


def tell_disk(found: Found) -> bool:
    print(f"  {'letters stored':<48} {found.stored:>8}")
    print(f"  {'of these arrived':<48} {found.arrived:>8}")
    print(f"  {'refused or held back while the disk was full':<48} {found.held_back:>8}")
    if found.refusal:
        print("  what the person is told:")
        for line in found.refusal.splitlines():
            print(f"    {line}")
    return found.stored == found.arrived and found.held_back > 0


def run(name: str, words: argparse.Namespace) -> bool:
    print(f"{name}: {ABOUT[name]}", flush=True)
    with tempfile.TemporaryDirectory(prefix="ao-") as made:
        folder = Path(made)
        if name in STORMS:
            plan = replace(STORMS[name], seed=words.seed)
            if name == "storm":
                plan = replace(plan, letters=words.letters)
            return tell_storm(Storm(plan, private_env(folder), folder).run())
        if why := why_not():
            print(f"  not run: {why}")
            return True
        disk = Disk(private_env(folder), folder)
        try:
            return tell_disk(DISKS[name](disk))
        finally:
            disk.end()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos/bus", description=__doc__)
    parser.add_argument(
        "scenario", nargs="*", metavar="SCENARIO", help=f"of {', '.join(ABOUT)}; default: all"
    )
    parser.add_argument("--letters", type=int, default=STORMS["storm"].letters, help="of the storm")
    parser.add_argument("--seed", default="1", help="the same seed: the same letters and order of kills")
    words = parser.parse_args()
    if unknown := set(words.scenario) - set(ABOUT):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    good = [run(name, words) for name in words.scenario or ABOUT]
    print("all good" if all(good) else "NOT good")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
