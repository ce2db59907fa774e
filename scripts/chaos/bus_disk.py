"""Mail on a disk that is full: what is called stored is, what is not is told, nobody else is disturbed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.bus.home import Home, home_of
from agentorchestr.bus.names import address_of
from agentorchestr.clock import until
from agentorchestr.mqtt.broker import stop_broker
from agentorchestr.paths import Paths, ensure_private

TOP = Path(__file__).parents[2]
DISK_BYTES = 1024 * 1024
BODY = "x" * 60_000
MANY = 60
"""Letters that do not fit together."""


@dataclass(frozen=True)
class Found:
    """What a full disk came to."""

    stored: int
    held_back: int
    refusal: str
    """What the person was told."""
    arrived: int
    """Of what was stored."""


def why_not() -> str:
    """Why no small disk can be had here; empty when it can."""
    if sys.platform != "linux":
        return "a small disk is a tmpfs, which only Linux has"
    return "" if os.geteuid() == 0 else "mounting a small disk needs root"


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], None]]:
    """Make *folder* a disk of 1 MiB; the function given makes it larger."""
    ensure_private(folder)

    def mount(*options: str) -> None:
        argv = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        subprocess.run(argv, check=True, capture_output=True, timeout=30)

    mount(f"size={DISK_BYTES}", "mode=0700")
    try:
        yield lambda: mount("remount", f"size={32 * DISK_BYTES}")
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True, timeout=30)


class Disk:
    """Commands of agents in one home, of whom one has a small disk."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.env = {**env, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}
        self.paths = Paths.from_env(env)
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    def bus(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "agentorchestr", "bus", *words],
            env=self.env,
            cwd=self.folder,
            input="",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, name: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            self.running.append(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", "agentorchestr", "bus", "start", "--agent-id", name],
                    env=self.env,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )
        assert until(self.home(name).bell.exists, within_s=20)

    def home(self, name: str) -> Home:
        return home_of(self.paths, address_of(name))

    def arrived(self, name: str) -> list[str]:
        with self.home(name).open_store() as store:
            return [each.letter.letter_id for each in store.inbox.recent(address_of(name), limit=10_000)]

    def state(self, name: str, letter_id: str) -> str:
        with self.home(name).open_store() as store:
            standing = store.outbox.find(address_of(name), letter_id)
            return "" if standing is None else standing.state.value

    def end(self) -> None:
        for child in self.running:
            child.terminate()
        for child in self.running:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        stop_broker(self.paths)

    def send(self, sender: str, to: str, body: str) -> tuple[str, str]:
        """The id of a letter that is stored, or what the command said instead."""
        done = self.bus("send", to, body, "--agent-id", sender, "--json")
        if done.stdout:
            return str(json.loads(done.stdout)["data"]["letters"][0]["id"]), ""
        return "", done.stderr.strip()


def full_sender(disk: Disk) -> Found:
    """*ann*'s disk is full after a few letters to *ben*; what went in arrives, what did not was refused."""
    disk.start("ben")
    stored, refusals = [], []
    with small_disk(disk.home("ann").folder) as grow:
        for _ in range(MANY):
            letter_id, refusal = disk.send("ann", "ben", BODY)
            if letter_id:
                stored.append(letter_id)
            else:
                refusals.append(refusal)
            if len(refusals) == 3:  # it stays full
                break
        grow()
        letter_id, refusal = disk.send("ann", "ben", "there is room again")
        assert letter_id, refusal
        stored.append(letter_id)
        until(lambda: set(disk.arrived("ben")) >= set(stored), within_s=60, every_s=0.2)
    arrived = disk.arrived("ben")
    assert set(arrived) <= set(stored), "a letter that was refused arrived"
    return Found(len(stored), len(refusals), refusals[0] if refusals else "", len(arrived))


def full_receiver(disk: Disk) -> Found:
    """*ben*'s disk is full: *ann* is not told ``received``, *cat* is not disturbed, all arrives later."""
    with small_disk(disk.home("ben").folder) as grow:
        for name in ("ann", "ben", "cat"):
            disk.start(name)
        sent = [disk.send("ann", "ben", BODY)[0] for _ in range(MANY // 3)]
        assert all(sent)
        other, _ = disk.send("ann", "cat", "are you well?")
        assert until(lambda: disk.state("ann", other) == "received", within_s=30, every_s=0.1)
        told = {letter_id for letter_id in sent if disk.state("ann", letter_id) == "received"}
        there = set(disk.arrived("ben"))
        assert told <= there, "received was told of what is on no disk"
        refused = len(sent) - len(there)
        grow()
        until(
            lambda: all(disk.state("ann", letter_id) == "received" for letter_id in sent),
            within_s=60,
            every_s=0.2,
        )
        states = [disk.state("ann", letter_id) for letter_id in sent]
        assert set(states) == {"received"}, states
        arrived = disk.arrived("ben")
    return Found(len(sent), refused, "", len(arrived))
