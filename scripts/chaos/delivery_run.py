"""Delivery under fire, with a report: ``./scripts/chaos/delivery [--sends N] [--seed S]``."""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.cli.named_broker import keep_quiet
from scripts.chaos.bus_faults import private_env
from scripts.chaos.delivery_count import Count, count
from scripts.chaos.delivery_session import ListeningSession
from scripts.chaos.delivery_storm import Plan, Storm

P95_S = 0.5
FALSE_SHARE = 0.001
EXAMPLES = 10


@dataclass(frozen=True)
class Found:
    """The storm that was run, and what came of it."""

    storm: Storm
    count: Count
    took_s: float

    @property
    def good(self) -> bool:
        """Whether all that must hold held; the time to a turn's start, the machine's too, is judged apart."""
        false = len(self.count.false_not_delivered)
        return not self.count.faults and false <= FALSE_SHARE * self.count.sends and not self.storm.notes


def run(plan: Plan, env: dict[str, str], folder: Path) -> Found:
    began = time.monotonic()
    session = ListeningSession(env, folder, workers=plan.workers)
    with session.running():
        storm = Storm(plan, session, folder)
        storm.run()
        return Found(storm, count(storm, session), time.monotonic() - began)


def tell(found: Found) -> None:
    counted, faults, typed = found.count, found.storm.faults, found.storm.person.typed
    rows = (
        ("sends", counted.sends),
        ("messages, with those sent again for the dead", counted.attempts),
        ("prompts taken", counted.prompts),
        ("supervisor killed -9", faults.supervisor),
        ("broker killed -9", faults.broker),
        ("agents killed -9 and replaced", faults.agents),
        ("dialogs answered", faults.dialogs),
        ("drafts of the person: sent / taken back", f"{len(typed.sent)} / {typed.dropped}"),
        ("lost", len(counted.lost)),
        ("second effect", len(counted.second_effect)),
        ("told as not delivered, rightly", counted.told_not_delivered),
        ("told as not delivered, falsely", len(counted.false_not_delivered)),
        ("drafts destroyed", len(counted.drafts_destroyed)),
        ("drafts that met a line of ours in the same moment", typed.beside_ours),
        ("garbled prompts", len(counted.garbled_prompts)),
        ("dialogs answered by our typing", counted.approved_by_typing),
        ("commands run by a shell", counted.run_by_a_shell),
        ("idle to turn started: samples", len(counted.latencies_s)),
        ("idle to turn started: p50 / p95 / max, s", _quantiles(counted)),
        ("seconds in all", f"{found.took_s:.0f}"),
    )
    for name, value in rows:
        print(f"  {name:<52} {value:>12}")
    for why, times in counted.held.most_common():
        print(f"  held {times:>4}: {why}")
    for name in ("lost", "second_effect", "false_not_delivered", "drafts_destroyed", "garbled_prompts"):
        for line in getattr(counted, name)[:EXAMPLES]:
            print(f"  ! {name}: {line}")
    for note in found.storm.notes:
        print(f"  ! {note}")


def _quantiles(counted: Count) -> str:
    return "/".join(f"{counted.quantile_s(share):.2f}" for share in (0.5, 0.95, 1.0))


def main(argv: list[str]) -> int:
    words = argparse.ArgumentParser(prog="scripts/chaos/delivery", description=__doc__)
    words.add_argument("--sends", type=int, default=Plan.sends)
    words.add_argument("--workers", type=int, default=Plan.workers)
    words.add_argument("--seed", default=Plan.seed)
    words.add_argument("--keep", metavar="DIR", help="leave everything in this folder")
    given = words.parse_args(argv)
    keep_quiet()
    plan = Plan(sends=given.sends, workers=given.workers, seed=given.seed)
    if given.keep:
        folder = Path(given.keep)
        folder.mkdir(parents=True)
        found = run(plan, private_env(folder), folder)
    else:
        with tempfile.TemporaryDirectory(prefix="ao-", ignore_cleanup_errors=True) as name:
            found = run(plan, private_env(Path(name)), Path(name))
    tell(found)
    slow = found.count.quantile_s(0.95) >= P95_S
    if slow:
        print(f"  ! p95 from idle to turn start is {P95_S} s or more")
    return 0 if found.good and not slow else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
