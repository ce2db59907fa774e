"""A whole session killed at its journal's boundaries: ``./scripts/chaos/crashes [--runs N] [--seed S]``."""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from agentorchestr.model.facts import Recorded
from scripts.chaos.crash_audit import Found
from scripts.chaos.crash_home import Home
from scripts.chaos.crash_plan import Plan, Victim, parse, plans
from scripts.chaos.crash_run import Run

COLUMNS = ("runs", "equal", "lost", "twice", "doubled", "unexplained", "left", "resumes", "p50 s", "p95 s")


def unbroken() -> tuple[Found, list[Recorded]]:
    """The session without a kill: its facts, and the tree all others have to come to."""
    home = Home()
    try:
        run = Run(home, Plan(0, ()))
        return run.play(), run.recorded
    finally:
        home.end()


def run_one(plan: Plan, keep: Path | None = None) -> Found:
    """One plan in a home of its own; what is needed to look into a bad one is copied to *keep*."""
    home = Home()
    try:
        found = Run(home, plan).play()
        if keep is not None and found.problems:
            save(home, keep / f"run-{plan.number}")
        return found
    finally:
        home.end()


def save(home: Home, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(home.said, target)
    for session in home.paths.sessions.iterdir():
        shutil.copytree(session, target / session.name, dirs_exist_ok=True)


def tell(plan: Plan, found: Found, tree: str) -> None:
    equal = "equal" if found.tree == tree else "OTHER TREE"
    problems = found.problems
    back = f"{found.recovered_s:.1f} s" if found.recovered_s is not None else "-"
    good = "ok " if not problems and equal == "equal" else "NOT"
    print(f"{good} {plan.number:>4} {equal} {found.facts} facts, back after {back}: {plan}", flush=True)
    for problem in problems:
        print(f"         {problem}", flush=True)


def row(name: str, found: Sequence[Found], tree: str) -> str:
    took = sorted(each.recovered_s for each in found if each.recovered_s is not None)
    p50 = f"{statistics.median(took):.1f}" if took else "-"
    p95 = f"{took[min(len(took) - 1, int(len(took) * 0.95))]:.1f}" if took else "-"
    counts = (
        len(found),
        sum(each.tree == tree for each in found),
        *(sum(len(getattr(each, kind)) for each in found) for kind in ("lost", "twice", "duplicated")),
        *(sum(len(getattr(each, kind)) for each in found) for kind in ("unexplained", "left")),
        sum(each.resumes for each in found),
        p50,
        p95,
    )
    return f"{name:<12}" + "".join(f"{count:>12}" for count in counts)


def machine() -> str:
    def version(*words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).splitlines()[0].strip()

    load = "/".join(f"{each:.0f}" for each in os.getloadavg())
    programs = (version("tmux", "-V"), version("git", "--version"), f"Python {platform.python_version()}")
    return f"{platform.platform()}, {os.cpu_count()} cores, load {load}; {', '.join(programs)}"


def report(done: Sequence[tuple[Plan, Found]], *, tree: str, facts: int, seed: str, took_s: float) -> bool:
    print(f"\n{machine()}")
    boundaries = len({plan.kills[0].at for plan, _ in done})
    print(f"seed {seed}; an unbroken session has {facts} facts; first kills at {boundaries} of them")
    print(" " * 12 + "".join(f"{column:>12}" for column in COLUMNS))
    for victim in Victim:
        of = [found for plan, found in done if plan.victim is victim]
        if of:
            print(row(victim, of, tree))
    everything = [found for _, found in done]
    print(row("in all", everything, tree))
    missed = [plan for plan, found in done if len(found.killed) < len(plan.kills[0].victims)]
    print(f"took {took_s:.0f} s; sessions that ended before their kill: {len(missed)}")
    return all(found.tree == tree and not found.problems for found in everything)


def run_all(
    made: Sequence[Plan], *, parallel: int, keep: Path | None, tree: str, ends_at: float
) -> list[tuple[Plan, Found]]:
    done = []

    def run(plan: Plan) -> Found | None:
        return run_one(plan, keep) if time.monotonic() < ends_at else None

    with ThreadPoolExecutor(parallel) as pool:
        running = {pool.submit(run, plan): plan for plan in made}
        for future in as_completed(running):
            found = future.result()
            if found is not None:
                done.append((running[future], found))
                tell(*done[-1], tree)
    return done


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos/crashes", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="default 200")
    parser.add_argument("--seed", default="1", help="the same seed: the same kills")
    parser.add_argument("--parallel", type=int, default=2, help="so many sessions at a time; default 2")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="begin no further run after that")
    parser.add_argument("--at", help="one run, killed there, as a line of the report says")
    parser.add_argument("--pick", type=int, default=0, help="with --at: as in that line")
    parser.add_argument("--keep", type=Path, help="a folder for the journals and logs of bad runs")
    words = parser.parse_args()
    whole, recorded = unbroken()
    print(f"unbroken: {whole.facts} facts in {whole.took_s:.1f} s, tree {whole.tree[:12]}", flush=True)
    if whole.problems:
        print("\n".join(whole.problems))
        return 1
    try:
        made = [parse(words.at, pick=words.pick)] if words.at else plans(words.seed, recorded, words.runs)
    except ValueError as exc:
        parser.error(str(exc))
    began = time.monotonic()
    ends_at = began + words.minutes * 60
    done = run_all(made, parallel=words.parallel, keep=words.keep, tree=whole.tree, ends_at=ends_at)
    took_s = time.monotonic() - began
    good = report(done, tree=whole.tree, facts=whole.facts, seed=words.seed, took_s=took_s)
    print("all good" if good else "NOT good")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
