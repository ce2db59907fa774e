"""How long a finished worker waits for its lead: one that waits at the tool, and one that has gone idle."""

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from agentorchestr.model.facts import AgentSeen, DoorbellRung, Recorded
from agentorchestr.model.states import LEAD, AgentEventKind
from scripts.benchmarks.bench_session import Bench, bench_session
from scripts.benchmarks.measuring import Figure, Group, ms, p95

SAMPLES = 12
ON_ITS_WAY_S = 0.2
"""After this the lead's call waits at the server."""


def measure_waiting() -> Iterator[Figure]:
    # Its own agent stays in a turn, so that every event is left to us.
    with bench_session(lead="in a turn") as bench, ThreadPoolExecutor(2) as threads:
        samples = []
        for worker in _idle_workers(bench):
            _read_all(bench)
            waiting = threads.submit(_wait_until, bench, worker)
            time.sleep(ON_ITS_WAY_S)
            reported = time.perf_counter()
            bench.call("report_done", caller=worker, summary="done")
            samples.append(waiting.result() - reported)
    detail = f"median {ms(statistics.median(samples))}, {len(samples)} samples, over HTTP"
    yield Figure("done until the lead's wait returns, p95", p95(samples) * 1000, "ms", 150.0, detail)


def measure_waking() -> Iterator[Figure]:
    bells, turns = [], []
    with bench_session() as bench:
        for worker in _idle_workers(bench):
            bench.until_quiet()
            bench.end_turn(LEAD)
            bench.until_idle([LEAD])
            seq, reported = bench.view.last_seq, time.time()
            bench.call("report_done", caller=worker, summary="done")
            bench.until(lambda _view, after=seq: _woken(bench.facts(after)) is not None, "lead woken")
            bell, turn = _woken(bench.facts(seq)) or (0.0, 0.0)
            bells.append(bell - reported)
            turns.append(turn - reported)
    yield Figure(
        "done until the idle lead is woken, p95",
        p95(bells) * 1000,
        "ms",
        150.0,
        f"bell typed; median {ms(statistics.median(bells))}",
    )
    yield Figure("done until its turn has begun, p95", p95(turns) * 1000, "ms", None, "as its hook tells")


def _idle_workers(bench: Bench) -> list[str]:
    workers = [bench.spawn() for _ in range(SAMPLES)]
    bench.until_idle(workers)
    return workers


def _read_all(bench: Bench) -> None:
    while bench.call("wait_for_any", timeout_s=0.1).get("events"):
        pass


def _wait_until(bench: Bench, worker: str) -> float:
    """Wait as a lead does; the moment at which it is told that *worker* is done."""
    while True:
        events = bench.call("wait_for_any", timeout_s=10.0).get("events", [])
        if any(event.get("worker_id") == worker and event.get("kind") == "done" for event in events):
            return time.perf_counter()


def _woken(facts: Sequence[Recorded]) -> tuple[float, float] | None:
    """When the lead's bell was rung and when its turn began; None while one of them is not recorded."""
    bell = turn = 0.0
    for recorded in facts:
        fact = recorded.fact
        if isinstance(fact, DoorbellRung) and fact.worker_id == LEAD:
            bell = bell or recorded.at
        elif isinstance(fact, AgentSeen) and fact.worker_id == LEAD:
            turn = turn or (recorded.at if fact.kind is AgentEventKind.PROMPT_TAKEN else 0.0)
    return (bell, turn) if bell and turn else None


GROUPS = (
    Group("waiting", "a worker's report until the lead's wait returns", measure_waiting),
    Group("waking", "a worker's report until an idle lead is woken", measure_waking),
)
