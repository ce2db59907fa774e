"""Letters with their journal on, against the published swarmbus with its SQLite archive: one broker, one run.

Needs swarmbus: ``./scripts/install-neighbours``. Sender and receiver are a process each; ours come in by the
Unix socket, as they do, swarmbus by TCP, which is all it can.
"""

import asyncio
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentorchestr.bus import Bus
from agentorchestr.bus.line import Place
from agentorchestr.bus.names import address_of
from agentorchestr.bus.swarmbus_login import make_swarmbus_login
from agentorchestr.mqtt.broker import stop_broker
from agentorchestr.paths import Paths
from scripts.benchmarks.measuring import Figure, Group, interleaved, ms, timed_program

ROOT = Path(__file__).parents[2]
THEIRS, OURS = 400, 4000
"""Messages of one run; theirs are fewer, since each takes so much longer."""
ROUNDS = 3
IN_FLIGHT = 64
BODY = "x" * 300
NAMES = ("planner", "coder")

SEND = """
import asyncio, json, sys, time
from swarmbus import AgentBus
to, count, flight, where = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
async def main():
    room = asyncio.Semaphore(flight)
    async with AgentBus("planner", **where) as bus, asyncio.TaskGroup() as group:
        print(time.time(), flush=True)
        async def one():
            async with room:
                await bus.send(to, "s", "x" * 300)
        for _ in range(count):
            group.create_task(one())
import logging
logging.disable()
asyncio.run(main())
"""
RECEIVE = """
import asyncio, json, sys, time
from swarmbus import AgentBus, SQLiteArchive
from swarmbus.handlers import BaseHandler
count, where = int(sys.argv[1]), json.loads(sys.argv[2])
class Count(BaseHandler):
    left = count
    async def handle(self, msg):
        self.left -= 1
        if not self.left:
            print(time.time(), flush=True)
async def main():
    bus = AgentBus("coder", persistent=True, **where)
    bus.register_handler(SQLiteArchive(sys.argv[3]))
    bus.register_handler(Count())
    task = asyncio.create_task(bus.listen())
    while "coder" not in await bus.list_agents():
        pass
    print("ready", flush=True)
    await task
asyncio.run(main())
"""


def _programs() -> Path | None:
    home = os.environ.get("AGENTORCHESTR_NEIGHBOURS") or Path.home() / ".cache/agentorchestr/neighbours"
    found = Path(home) / "swarmbus/bin"
    return found if (found / "swarmbus").exists() else None


class World:
    """A private home with a broker that lets both kinds in."""

    def __init__(self, home: Path, programs: Path) -> None:
        self.env = {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
        }
        self.home = home
        self.programs = programs
        self.paths = Paths.from_env(self.env)
        self.where: dict[str, dict[str, object]] = {}
        for name in NAMES:
            made = make_swarmbus_login(Place.of(self.env, address_of(f"swarmbus/{name}"), compat="swarmbus"))
            words = dict(line.split("=", 1) for line in made.file.read_text().splitlines())
            self.where[name] = {
                "broker": "127.0.0.1",
                "port": made.port,
                "username": made.user,
                "password": words["SWARMBUS_BROKER_PASSWORD"],
            }

    def send_theirs(self, to: str, count: int) -> float:
        """Have swarmbus send; when it began."""
        words = (to, str(count), str(IN_FLIGHT), json.dumps(self.where["planner"]))
        done = subprocess.run(
            [self.programs / "python", "-c", SEND, *words], env=self.env, capture_output=True, check=True
        )
        return float(done.stdout.split()[0])


def theirs(world: World) -> float:
    """Messages a second from swarmbus to swarmbus and its archive."""
    archive = tempfile.mkdtemp(dir=world.home)
    words = (str(THEIRS), json.dumps(world.where["coder"]), f"{archive}/archive.sqlite")
    with subprocess.Popen(
        [world.programs / "python", "-c", RECEIVE, *words], env=world.env, stdout=subprocess.PIPE
    ) as receiver:
        assert receiver.stdout is not None
        try:
            assert receiver.stdout.readline() == b"ready\n"
            began = world.send_theirs("coder", THEIRS)
            return THEIRS / (float(receiver.stdout.readline()) - began)
        finally:
            receiver.kill()


async def _receive(
    env: dict[str, str], compat: str, count: int, told: "multiprocessing.Queue[float]"
) -> None:
    import time

    async with Bus("ben", env=env, compat=compat) as ben:
        told.put(0.0)
        async for _ in ben.messages():
            count -= 1
            if not count:
                told.put(time.time())
                return


def _serve(env: dict[str, str], compat: str, count: int, told: "multiprocessing.Queue[float]") -> None:
    asyncio.run(_receive(env, compat, count, told))


@contextmanager
def _ben(world: World, compat: str, count: int) -> Iterator["multiprocessing.Queue[float]"]:
    spawn = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[float] = spawn.Queue()
    side = spawn.Process(target=_serve, args=(world.env, compat, count, told))
    side.start()
    try:
        told.get(timeout=30)
        yield told
    finally:
        side.join(20)
        side.kill()


def ours(world: World) -> float:
    """Letters a second from one of our agents to another, both with their journal."""
    with _ben(world, "", OURS) as told:
        began = asyncio.run(_send_ours(world))
        return OURS / (told.get(timeout=120) - began)


async def _send_ours(world: World) -> float:
    import time

    async with Bus("ann", env=world.env) as ann:
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one() -> None:
            async with room:
                await ann.send("ben", BODY, subject="s")

        began = time.time()
        async with asyncio.TaskGroup() as group:
            for _ in range(OURS):
                group.create_task(one())
        return began


def from_them(world: World) -> float:
    """Messages a second from swarmbus to one of our agents that speaks it, into its journal."""
    with _ben(world, "swarmbus", OURS) as told:
        began = world.send_theirs("ben", OURS)
        return OURS / (told.get(timeout=120) - began)


def _commands(world: World) -> Iterator[Figure]:
    port = str(world.where["planner"]["port"])
    where = ("--broker", "127.0.0.1", "--port", port)
    login = {
        "SWARMBUS_BROKER_USERNAME": str(world.where["planner"]["username"]),
        "SWARMBUS_BROKER_PASSWORD": str(world.where["planner"]["password"]),
    }
    mine, program = [sys.executable, "-m", "agentorchestr", "bus"], world.programs / "swarmbus"
    pairs: dict[str, tuple[list[object], list[object]]] = {
        "send": (
            [*mine, "send", "ben", "hello", "--agent-id", "ann"],
            [
                program,
                "send",
                "--agent-id",
                "planner",
                "--to",
                "ben",
                "--subject",
                "s",
                "--body",
                "b",
                *where,
            ],
        ),
        "list": ([*mine, "list"], [program, "list", *where]),
    }
    for verb, argvs in pairs.items():
        acts: list[Callable[[], float]] = [
            lambda argv=argv: timed_program([str(word) for word in argv], env={**world.env, **login})  # type: ignore[misc]
            for argv in argvs
        ]
        one, other = interleaved(acts, rounds=7)
        yield Figure(f"bus {verb} over swarmbus {verb}", one / other, "x", 1.0, f"{ms(one)}, {ms(other)}")


def _times(name: str, ratios: list[float], detail: str) -> Figure:
    return Figure(name, statistics.median(ratios), "x", 2.0, detail, more_is_better=True)


def measure_swarmbus() -> Iterator[Figure]:
    programs = _programs()
    if programs is None:
        print("left out: swarmbus is not installed: ./scripts/install-neighbours", file=sys.stderr)
        return
    home = Path(tempfile.mkdtemp(prefix="ao-"))
    try:
        world = World(home, programs)
        rates = [(theirs(world), ours(world), from_them(world)) for _ in range(ROUNDS)]
        archive, letters, compat = (statistics.median(column) for column in zip(*rates, strict=True))
        detail = f"swarmbus {archive:.0f}/s, letters {letters:.0f}/s"
        yield _times("letters over swarmbus with SQLite archive", [b / a for a, b, _ in rates], detail)
        detail = f"from swarmbus into our journal {compat:.0f}/s"
        yield _times("the same with --bus-compat swarmbus", [c / a for a, _, c in rates], detail)
        yield from _commands(world)
    finally:
        stop_broker(Paths.from_env({"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}))
        shutil.rmtree(home, ignore_errors=True)


GROUPS = (
    Group(
        "bus", "letters against swarmbus and its SQLite archive (needs install-neighbours)", measure_swarmbus
    ),
)
