"""A process killed at any moment: nothing that was promised is lost, and nothing is done twice."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentorchestr.journal.mailbox import MailStore
from agentorchestr.model.mail import Address, LetterState
from agentorchestr.mqtt.broker import BrokerHandle, ensure_broker, stop_broker
from agentorchestr.mqtt.logins import add_login
from agentorchestr.paths import Paths
from tests.mqtt.conftest import BrokerWorld, kill_hard
from tests.swarm.conftest import Post, first, note, soon
from tests.swarm.transport_contract import ANN, BEN

pytestmark = pytest.mark.anyio
HERE = Path(__file__).parent


class Kills:
    """One broker, and agents on it in processes of their own."""

    def __init__(self, paths: Paths, broker: BrokerHandle, folder: Path) -> None:
        self.paths = paths
        self.broker = broker
        self.folder = folder
        self.post = Post(BrokerWorld(paths, broker.endpoint_unix), folder)
        self.running: list[subprocess.Popen[str]] = []

    @property
    def log(self) -> Path:
        return self.folder / "handled.log"

    def handled(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def start(self, me: Address, *verb: str, to: Address | None = None) -> subprocess.Popen[str]:
        login = add_login(self.paths, me)
        told = {
            "me": str(me),
            "password": login.password,
            "socket": str(self.broker.endpoint_unix.unix),
            "mail": str(self.folder / f"{me.agent}.sqlite"),
            "log": str(self.log),
            "to": str(to),
        }
        child = subprocess.Popen(
            [sys.executable, str(HERE / "mail_process.py"), *verb],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent.parent,
            env={"PYTHONPATH": str(HERE.parent.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.running.append(child)
        assert child.stdin is not None
        child.stdin.write(json.dumps(told) + "\n")
        child.stdin.flush()
        return child


@pytest.fixture
def kills(private_paths: Paths, tmp_path: Path) -> Iterator[Kills]:
    made = Kills(private_paths, ensure_broker(private_paths), tmp_path)
    yield made
    for child in made.running:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
    stop_broker(private_paths)


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM], ids=lambda sig: sig.name)
async def test_a_receiver_killed_at_four_of_a_hundred_handles_each_once(
    kills: Kills, sig: signal.Signals
) -> None:
    async with kills.post.agent(BEN):
        pass
    async with kills.post.agent(ANN) as ann:
        letters = await ann.send_many([note(BEN, str(number)) for number in range(100)])
        child = kills.start(BEN, "read", "0.05")
        for _ in range(5):
            begun = await asyncio.to_thread(line, child)
        assert begun.startswith("begin")
        child.send_signal(sig)
        child.wait()
        assert len(kills.handled()) == 4
        kills.start(BEN, "read", "0")
        await soon(lambda: len(kills.handled()) >= 100, within_s=20)
        for letter in letters:
            standing = await ann.wait_for(letter.letter_id, LetterState.RECEIVED, timeout_s=10)
            assert standing is not None
            assert standing.state is LetterState.RECEIVED
    assert Counter(kills.handled()) == Counter(str(number) for number in range(100))


async def test_a_sender_killed_in_the_middle_loses_and_doubles_nothing(kills: Kills) -> None:
    async with kills.post.agent(BEN) as ben:
        child = kills.start(ANN, "send", "100000", to=BEN)
        promised = [await asyncio.to_thread(line, child) for _ in range(300)]
        kill_hard_and_reap(child)
        assert child.stdout is not None
        promised += child.stdout.read().split()
        with MailStore(kills.folder / "ann.sqlite") as store:
            stored = [each.letter.letter_id for each in store.outbox.recent(ANN, limit=1_000_000)]
        # The last word of a killed process may be cut short.
        assert {word for word in promised if len(word) == len(promised[0])} <= set(stored)
        async with kills.post.agent(ANN):
            got = await first(ben.inbox(), len(stored))
            assert Counter(letter.letter_id for letter in got) == Counter(stored)
        await asyncio.sleep(1.5)
        assert [letter.letter_id for letter in await ben.take()] == [got[-1].letter_id]


async def test_a_killed_broker_loses_no_letter_that_it_had_taken(kills: Kills) -> None:
    post = kills.post
    async with post.agent(BEN):
        pass
    async with post.agent(ANN) as ann:
        queued = await ann.send_many([note(BEN, str(number)) for number in range(200)])
        standing = await ann.wait_for(queued[-1].letter_id, LetterState.SENT, timeout_s=10)
        assert standing is not None
        assert standing.state is LetterState.SENT
        kill_hard(kills.broker.pid)
        meanwhile = await ann.send(note(BEN, "meanwhile"))
        await asyncio.to_thread(ensure_broker, kills.paths)
        async with post.agent(BEN) as ben:
            got = await first(ben.inbox(), 201)
            expected = Counter(letter.letter_id for letter in [*queued, meanwhile])
            assert Counter(letter.letter_id for letter in got) == expected
            await asyncio.sleep(1.0)
            assert len(await ben.take()) == 1


def kill_hard_and_reap(child: subprocess.Popen[str]) -> None:
    kill_hard(child.pid)
    child.wait()
