"""How long a spawn takes: beside git and tmux alone, on a large repository, and eight at once."""

import statistics
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from agentorchestr.model.facts import PaneOpened
from scripts.benchmarks.bench_session import Bench, bench_session, git
from scripts.benchmarks.measuring import Figure, Group, ms, timed

SPAWNS = 8
LARGE_FILES = 20_000


def measure_small() -> Iterator[Figure]:
    with bench_session(files=200) as bench:
        bare = _bare(bench)
        returned, opened = _spawns(bench)
    detail = f"{ms(returned)} / {ms(bare)}, 200 files"
    yield Figure("spawn_worker returns / git + tmux alone", returned / bare, "x", 1.5, detail)
    yield Figure("the agent's pane is open / the same", opened / bare, "x", None, ms(opened))


def measure_large() -> Iterator[Figure]:
    with bench_session(files=LARGE_FILES) as bench:
        bare = _bare(bench)
        returned, opened = _spawns(bench)
    detail = f"{LARGE_FILES} files, warm pool; git + tmux alone {ms(bare)}"
    yield Figure("spawn_worker returns, large repository", returned * 1000, "ms", 150.0, detail)
    yield Figure("the agent's pane is open, the same", opened * 1000, "ms", None)


def measure_eight() -> Iterator[Figure]:
    with bench_session() as bench, ThreadPoolExecutor(SPAWNS) as threads:
        began = time.perf_counter()
        workers = list(threads.map(bench.spawn, ["wait"] * SPAWNS))
        bench.until_running(workers)
        took = time.perf_counter() - began
    yield Figure("8 spawned at once, all ready for a prompt", took, "s", 2.0)


def _bare(bench: Bench) -> float:
    """What it costs to type ``git worktree add`` and ``tmux split-window``."""
    tmux = ["tmux", "-S", str(bench.paths.tmux_socket)]
    pane = ["-t", f"=ao-{bench.session_id}:", "-d", "-P", "-F", "#{pane_id}", "sleep", "600"]
    trees = bench.repository.parent / "bare"
    taken = []
    for number in range(4):
        began = time.perf_counter()
        git(bench.repository, "worktree", "add", "-q", "-b", f"bare{number}", str(trees / str(number)))
        shown = subprocess.run([*tmux, "split-window", *pane], check=True, capture_output=True, text=True)
        taken.append(time.perf_counter() - began)
        subprocess.run([*tmux, "kill-pane", "-t", shown.stdout.strip()], check=True)
    return statistics.median(taken[1:])


def _spawns(bench: Bench) -> tuple[float, float]:
    """Medians: until the call returns, and until the agent's pane is open."""
    returns, opens = [], []
    for _ in range(4):
        spawned: list[str] = []
        asked_at = time.time()
        returns.append(timed(lambda into=spawned: into.append(bench.spawn())))
        bench.until(lambda view, key=spawned[0]: bool(view.workers[key].pane_id), "pane open")
        opens.append(
            next(
                r.at
                for r in bench.facts()
                if isinstance(r.fact, PaneOpened) and r.fact.worker_id == spawned[0]
            )
            - asked_at
        )
        bench.until_idle(spawned)
    return statistics.median(returns[1:]), statistics.median(opens[1:])


GROUPS = (
    Group("spawn", "spawn_worker against git worktree add and tmux split-window", measure_small),
    Group("large", "spawn_worker on 20,000 files with a warm pool", measure_large),
    Group("eight", "eight spawns at once", measure_eight),
)
