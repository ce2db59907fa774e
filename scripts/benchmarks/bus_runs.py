"""One run of senders against receivers: each a process of its own, all let go at one moment."""

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from agentorchestr.model.mail import Address
from agentorchestr.mqtt.broker import ensure_broker, stop_broker
from agentorchestr.mqtt.endpoint import Endpoint, Login
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from scripts.benchmarks.bus_sides import Got, Part, Side

STANDS_S = 60.0
ENDS_S = 120.0
# A server that has everything loaded is cloned: sixteen fresh interpreters would measure the imports.
_ctx = multiprocessing.get_context("forkserver")
_ctx.set_forkserver_preload(["scripts.benchmarks.bus_sides", "aiomqtt"])


@dataclass(frozen=True)
class Ends:
    """A broker, and who may come in."""

    endpoint: Endpoint
    logins: dict[Address, Login]
    env: dict[str, str]
    """What a command needs to find that broker."""

    def names(self, word: str, count: int) -> tuple[Address, ...]:
        """*count* of those that are called *word*, with a number."""
        return tuple(islice((one for one in self.logins if one.agent.startswith(word)), count))


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    rate: float
    """Messages per second, from the first send to the last receipt by a reader."""
    taken_s: list[float]
    """How long each message took, ascending."""

    def at(self, share: float) -> float:
        """The time, in milliseconds, that this share of the messages did not exceed."""
        return self.taken_s[min(int(len(self.taken_s) * share), len(self.taken_s) - 1)] * 1000


@contextmanager
def private_broker(pairs: int) -> Iterator[Ends]:
    """The product's own broker in a folder of its own, with *pairs* senders and receivers."""
    home = Path(tempfile.mkdtemp(prefix="ao-"))
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    paths = Paths.from_env(env)
    broker = ensure_broker(paths)
    try:
        names = [
            Address("agentorchestr", "local", f"{word}{number}")
            for word in ("sender", "receiver")
            for number in range(pairs)
        ]
        logins = {name: add_login(paths, name) for name in names}
        yield Ends(broker.endpoint_unix, logins, env | {"PATH": os.environ["PATH"]})
    finally:
        stop_broker(paths)
        shutil.rmtree(home, ignore_errors=True)


def one_run(side: Side, ends: Ends, *, count: int, how: str, pairs: int = 1) -> Outcome:
    """Let *pairs* senders send *count* messages each, to all receivers in turn."""
    folder = tempfile.mkdtemp(prefix="ao-")
    senders, receivers = ends.names("sender", pairs), ends.names("receiver", pairs)
    said: Queue[Any] = _ctx.Queue()
    go = _ctx.Event()

    def started(work: Any, me: Address, others: tuple[Address, ...]) -> Any:
        part = Part(ends.endpoint, ends.logins[me], me, others, count, how, folder)
        process = _ctx.Process(target=_play, args=(work, part, said, go))
        process.start()
        return process

    processes = []
    try:
        processes += [started(side.receive, me, senders) for me in receivers]
        _hear(said, len(receivers), within_s=STANDS_S)
        # Each begins with another receiver, so that all get as many.
        processes += [
            started(side.send, me, receivers[place:] + receivers[:place]) for place, me in enumerate(senders)
        ]
        _hear(said, len(senders), within_s=STANDS_S)
        began = time.time()
        go.set()
        got = [one for one in _hear(said, 2 * pairs, within_s=ENDS_S) if isinstance(one, Got)]
        last_at = max(one.last_at for one in got)
        return Outcome(count * pairs / (last_at - began), sorted(s for one in got for s in one.taken_s))
    finally:
        for process in processes:
            process.join(10)
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _hear(said: "Queue[Any]", count: int, *, within_s: float) -> Sequence[Any]:
    heard = [said.get(timeout=within_s) for _ in range(count)]
    for fault in heard:
        assert not isinstance(fault, str), fault
    return heard


def _play(work: Any, part: Part, said: "Queue[Any]", go: Event) -> None:
    """In a process of its own: tell that we stand, work, tell what it came to."""

    def ready() -> None:
        said.put(None)
        # A receiver goes on: it only waits for what comes.
        assert "sender" not in part.me.agent or go.wait(STANDS_S), "never let go"

    try:
        said.put(work(part, ready))
    except BaseException as exc:
        said.put(f"{part.me.agent}: {exc!r}")
        raise
