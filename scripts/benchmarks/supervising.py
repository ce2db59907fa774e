"""What the supervisor costs while nothing happens, and while sixteen screens redraw."""

import time
from collections.abc import Iterator

import psutil

from scripts.benchmarks.bench_session import Bench, bench_session
from scripts.benchmarks.measuring import Figure, Group

WORKERS = 16
WINDOW_S = 20.0
SETTLE_S = 5.0


def measure_idle() -> Iterator[Figure]:
    yield from _measured("idle workers", task="wait", limit=1.0, busy=False)


def measure_busy() -> Iterator[Figure]:
    yield from _measured("busy redrawing workers", task="redraw", limit=5.0, busy=True)


def _measured(name: str, *, task: str, limit: float, busy: bool) -> Iterator[Figure]:
    with bench_session() as bench:
        workers = [bench.spawn(task) for _ in range(WORKERS)]
        if busy:
            bench.until(lambda view: all(view.workers[key].in_turn for key in workers), "workers busy")
        else:
            bench.until_idle(workers)
            for worker in workers:
                # Idle with a report: one without is reminded for two minutes, which is work.
                bench.call("report_done", caller=worker, summary="done")
                bench.end_turn(worker)
            bench.until_quiet()
        supervisor = psutil.Process(bench.view.supervisor_pid)
        time.sleep(SETTLE_S)
        own, children = _spent(supervisor)
        time.sleep(WINDOW_S)
        own_after, children_after = _spent(supervisor)
        rss = supervisor.memory_info().rss / 1e6
        _still(bench, workers)
    share = (own_after - own + children_after - children) / WINDOW_S * 100
    detail = f"of one core, {(children_after - children) / WINDOW_S * 100:.2f} of it in tmux commands"
    yield Figure(f"supervisor with {WORKERS} {name}", share, "%", limit, detail)
    yield Figure(f"its memory with {WORKERS} {name}", rss, "MB", 110.0)


def _spent(process: psutil.Process) -> tuple[float, float]:
    """Processor seconds of the process itself, and of the programs it has waited for."""
    times = process.cpu_times()
    return times.user + times.system, times.children_user + times.children_system


def _still(bench: Bench, workers: list[str]) -> None:
    """A figure with half of its workers gone would be worth nothing."""
    gone = [key for key in workers if not bench.view.workers[key].alive]
    if gone:
        raise RuntimeError(f"not alive at the end: {', '.join(gone)}")


GROUPS = (
    Group("idle", "the supervisor's share of a core with 16 idle workers, and its memory", measure_idle),
    Group("busy", "the same with 16 workers that redraw their screens", measure_busy),
)
