"""How long a session takes to be itself again: after its supervisor was killed, and after tmux was."""

import os
import signal
import statistics
from collections.abc import Iterator

import httpx

from agentorchestr.clock import until
from agentorchestr.process import end_marked, lives
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring import product
from scripts.benchmarks.bench_session import LIMIT_S, Bench, bench_session
from scripts.benchmarks.measuring import Figure, Group, timed

WORKERS = 8
ROUNDS = 5
FOUND_S = 3.0


def measure_adoption() -> Iterator[Figure]:
    with bench_session() as bench:
        workers = [bench.spawn() for _ in range(WORKERS)]
        bench.until_idle(workers)
        before = {key: worker.pid for key, worker in bench.view.workers.items()}
        took = [timed(lambda: _kill_and_wait(bench)) for _ in range(ROUNDS)]
        after = {key: worker.pid for key, worker in bench.view.workers.items()}
    if before != after:
        raise RuntimeError("an agent that lived was started again")
    detail = f"from kill -9 to the lead's tools answering, {ROUNDS} times, the longest {max(took):.2f} s"
    yield Figure(f"{WORKERS} living workers adopted", statistics.median(took), "s", FOUND_S, detail)


def _kill_and_wait(bench: Bench) -> None:
    """Kill the supervisor; return when the next one answers the lead and knows of every agent."""
    # The pause before a restart grows with each; only what a first one costs is of interest.
    (bench.paths.session_run(bench.session_id) / "restarts").unlink(missing_ok=True)
    generation = bench.view.generation
    os.kill(bench.view.supervisor_pid, signal.SIGKILL)
    bench.until(lambda view: view.generation > generation, "the next supervisor")
    if not until(lambda: _team_is_told(bench), within_s=LIMIT_S, every_s=0.01):
        raise TimeoutError("the lead's tools did not answer again")


def _team_is_told(bench: Bench) -> bool:
    try:
        return len(bench.call("list_workers")["workers"]) == WORKERS
    except httpx.HTTPError:
        return False


def measure_restart() -> Iterator[Figure]:
    with bench_session() as bench:
        bench.until_idle([bench.spawn() for _ in range(WORKERS)])
        _end_everything(bench)
        took = timed(lambda: _resume(bench))
    detail = f"tmux gone: the lead and {WORKERS} workers in their own conversations, each asked for its tools"
    yield Figure(f"{WORKERS} workers started again", took, "s", None, detail)


def _end_everything(bench: Bench) -> None:
    view = bench.view
    (pid,) = TmuxServer(bench.paths.tmux_socket).run("display-message", "-p", "#{pid}")
    for victim in (int(pid), view.supervisor_pid):
        os.kill(victim, signal.SIGKILL)
    until(lambda: not end_marked(view.session_id, grace_s=0.1), within_s=LIMIT_S)
    until(lambda: not lives(view.supervisor_pid, view.supervisor_started), within_s=LIMIT_S)


def _resume(bench: Bench) -> None:
    product.resume_session(bench.paths, bench.session_id, env=bench.environment, timeout_s=None)
    bench.until(lambda view: all(w.ready and w.revived for w in view.workers.values()), "everybody ready")


GROUPS = (
    Group("resume", f"a killed supervisor with {WORKERS} living workers", measure_adoption),
    Group("restart", f"the same with tmux gone: {WORKERS} workers started again", measure_restart),
)
