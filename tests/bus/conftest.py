"""Agents on a real mosquitto of each test's own, as the product starts it."""

import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agentorchestr.bus import Bus, Letter
from agentorchestr.bus.line import Place
from agentorchestr.bus.names import address_of
from agentorchestr.mqtt.broker import stop_broker
from agentorchestr.paths import Paths

ROOT = Path(__file__).parents[2]


@pytest.fixture
def env(private_home: dict[str, str]) -> Iterator[dict[str, str]]:
    """A private home; a broker that was started in it ends with the test."""
    yield {**private_home, "PYTHONPATH": os.fspath(ROOT)}
    stop_broker(Paths.from_env(private_home))


@pytest.fixture
def place(env: dict[str, str]) -> Callable[[str], Place]:
    return lambda name: Place.of(env, address_of(name))


async def soon(condition: Callable[[], object], *, within_s: float = 15.0) -> None:
    """Wait until *condition*, a function or a coroutine function, is true."""
    async with asyncio.timeout(within_s):
        while not (await found if inspect.isawaitable(found := condition()) else found):  # noqa: ASYNC110 - it may be true in another process
            await asyncio.sleep(0.01)


async def first(letters: AsyncIterator[Letter], count: int, *, within_s: float = 20.0) -> list[Letter]:
    """The next *count* letters, all handled but the last."""
    found: list[Letter] = []
    async with asyncio.timeout(within_s):
        async for letter in letters:
            found.append(letter)
            if len(found) == count:
                break
    return found


@asynccontextmanager
async def beside(work: object) -> AsyncIterator[None]:
    """Run a coroutine during the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)  # type: ignore[arg-type]
        try:
            yield
        finally:
            task.cancel()


class Shell:
    """Types commands in real processes."""

    def __init__(self, env: dict[str, str], cwd: Path) -> None:
        self.env = env
        self.cwd = cwd
        self._running: list[subprocess.Popen[bytes]] = []

    def argv(self, *words: str | bytes) -> list[str | bytes]:
        return [sys.executable, "-m", "agentorchestr", "bus", *words]

    def run(self, *words: str | bytes, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.argv(*words),
            env=self.env,
            cwd=self.cwd,
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            self.argv("start", *words),
            env=self.env,
            cwd=self.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._running.append(child)
        assert child.stdout is not None
        said = child.stdout.readline()
        if not said and child.wait(timeout=10) is not None:
            assert child.stderr is not None
            raise AssertionError(child.stderr.read().decode())
        return child

    def end_all(self) -> None:
        for child in self._running:
            if child.poll() is None:
                child.kill()
            child.communicate()


@pytest.fixture
def shell(env: dict[str, str], tmp_path: Path) -> Iterator[Shell]:
    one = Shell(env, tmp_path)
    yield one
    one.end_all()


def other(letter: Letter, **changes: object) -> Letter:
    return replace(letter, **changes)  # type: ignore[arg-type]


__all__ = ["Bus", "Shell", "beside", "first", "other", "soon"]
