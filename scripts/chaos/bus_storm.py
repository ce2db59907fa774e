"""Agents that write to one another while they and their broker are killed, and what came of it."""

import json
import math
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentorchestr.bus.home import Home, home_of
from agentorchestr.bus.names import address_of
from agentorchestr.journal.mailbox import FILE_NAME
from agentorchestr.journal.mailbox_db import RANK
from agentorchestr.model.mail import LetterState
from agentorchestr.mqtt.broker import broker_folder, ensure_broker, is_it, read_record, stop_broker
from agentorchestr.paths import Paths

TOP = Path(__file__).parents[2]
LOOK_S = 0.2
ENTRY = re.compile(r"^<!-- agentorchestr (\{.*\}) -->$", re.MULTILINE)
RECEIVED, ACTED = RANK[LetterState.RECEIVED], RANK[LetterState.ACTED]
Sent = dict[str, tuple[str, int, int]]
"""A sender's letters: receiver, state, tries."""


@dataclass(frozen=True)
class Plan:
    """How hard it blows. The same *seed* gives the same letters and the same order of kills."""

    agents: int = 8
    letters: int = 10_000
    pace_s: float = 0.05
    """Between two letters of one sender."""
    kill_every_s: float = 1.5
    """On average, until the last letter is stored."""
    broker_share: float = 0.6
    """So many of the kills hit the broker, the rest an agent."""
    back_s: float = 3.0
    """A killed agent is started again within this time, and the broker unless an agent does it first."""
    seed: str = "1"
    limit_s: float = 1200.0
    senders: int = 0
    """So many of the agents send, the others only receive; 0: all send."""
    victims: tuple[str, ...] = ()
    """Agents that may be killed; empty: all."""
    away: tuple[str, ...] = ()
    """Agents that are killed first and come back when the last letter is stored."""


@dataclass
class Outcome:
    """What was found. The first four must be 0, and nothing noted."""

    lost: int = 0
    acted_twice: int = 0
    told_falsely: int = 0
    """Letters whose sender was told of more than had happened, looked at after each kill."""
    not_told: int = 0
    """Letters that were acted on and whose sender does not know in the end."""
    letters: int = 0
    broker_kills: int = 0
    agent_kills: int = 0
    tried_again: int = 0
    settled_s: float = 0.0
    """From the last kill to the last receipt."""
    took_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What else went wrong, as an agent that ended by itself."""

    @property
    def good(self) -> bool:
        return not (self.lost or self.acted_twice or self.told_falsely or self.not_told or self.notes)


class Storm:
    """One broker and *plan.agents* agents in the home that *env* names."""

    def __init__(self, plan: Plan, env: dict[str, str], folder: Path) -> None:
        self.plan = plan
        self.env = {**env, "PYTHONPATH": str(TOP), "PYTHONDONTWRITEBYTECODE": "1"}
        self.paths = Paths.from_env(env)
        self.folder = folder
        self.names = [f"a{number}" for number in range(plan.agents)]
        self.chance = random.Random(plan.seed)  # noqa: S311 - repeatable, not secret
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.due: list[tuple[float, str]] = []
        """When who is started again."""
        self.outcome = Outcome(letters=plan.letters)
        self.ends_at = time.monotonic() + plan.limit_s
        self.stormed_until = time.monotonic()

    def run(self) -> Outcome:
        began = time.monotonic()
        try:
            for name in self.names:
                self.start(name)
            self.send_away()
            for _ in self._until(self.all_stored):
                self.strike()
            self.stormed_until = time.monotonic()
            self.restart(everybody=True)
            for _ in self._until(self.all_told):
                self.watch()
            self.outcome.settled_s = time.monotonic() - self.stormed_until
        finally:
            self.end()
        self.outcome.took_s = time.monotonic() - began
        self.judge()
        return self.outcome

    def _until(self, condition: Callable[[], bool]) -> Iterator[None]:
        while not condition():
            if time.monotonic() > self.ends_at:
                self.outcome.notes.append(f"not done within {self.plan.limit_s:g} s")
                return
            yield
            time.sleep(LOOK_S)

    # --- what happens ---

    def strike(self) -> None:
        self.watch()
        if self.chance.random() > LOOK_S / self.plan.kill_every_s:
            return
        if self.chance.random() < self.plan.broker_share:
            self.kill_broker()
        else:
            self.kill(self.chance.choice(self.plan.victims or self.names))
        self.look_who_lies()

    def send_away(self) -> None:
        """Once they were seen on the broker."""
        for _ in self._until(lambda: all(self.home(name).bell.exists() for name in self.plan.away)):
            self.watch()
        for name in self.plan.away:
            self.kill(name, back=False)
            self.due.append((math.inf, name))

    def watch(self) -> None:
        """Start again who is due, and who ended by itself, which is noted."""
        self.restart()
        for name, child in list(self.running.items()):
            if child.poll() is not None:
                del self.running[name]
                words = (self.folder / f"{name}.err").read_text(errors="replace").strip().splitlines()
                self.outcome.notes.append(
                    f"{name} ended by itself: {words[-1] if words else child.returncode}"
                )
                self.start(name)

    def restart(self, *, everybody: bool = False) -> None:
        now = time.monotonic()
        for moment, name in sorted(self.due):
            if everybody or moment <= now:
                self.due.remove((moment, name))
                if name == "broker":
                    ensure_broker(self.paths)
                elif name not in self.running:
                    self.start(name)

    def start(self, name: str) -> None:
        peers = [other for other in self.names if other != name]
        count = self._each() if name in self.names[: self._senders()] else 0
        words = (name, str(count), str(self.plan.pace_s), self.plan.seed, str(self.acted_file(name)), *peers)
        with (self.folder / f"{name}.err").open("ab") as err:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "scripts.chaos.bus_agent", *words],
                cwd=TOP,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
            )

    def kill(self, name: str, *, back: bool = True) -> None:
        child = self.running.pop(name, None)
        if child is None:
            return
        child.kill()
        child.wait()
        self.outcome.agent_kills += 1
        if back:
            self.due.append((time.monotonic() + self.chance.random() * self.plan.back_s, name))

    def kill_broker(self) -> None:
        record = read_record(broker_folder(self.paths))
        if record is None or not is_it(record.pid, record.started):
            return
        os.kill(record.pid, signal.SIGKILL)
        self.outcome.broker_kills += 1
        # Now and then nobody but the agents themselves brings it back.
        if self.chance.random() < 0.5:
            self.due.append((time.monotonic() + self.chance.random() * self.plan.back_s, "broker"))

    def end(self) -> None:
        for child in self.running.values():
            child.terminate()
        for child in self.running.values():
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        stop_broker(self.paths)

    # --- what is found ---

    def acted_file(self, name: str) -> Path:
        return self.folder / f"{name}.md"

    def acted(self, name: str) -> list[str]:
        file = self.acted_file(name)
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return [str(json.loads(one)["id"]) for one in ENTRY.findall(text)]

    def sent(self, name: str) -> Sent:
        rows = self._rows(
            name, "SELECT letter_id, receiver, state, tries FROM outbox WHERE kind = 'note' ORDER BY row"
        )
        return {
            letter_id: (receiver.rpartition("/")[2], state, tries)
            for letter_id, receiver, state, tries in rows
        }

    def arrived(self, name: str) -> set[str]:
        return {letter_id for (letter_id,) in self._rows(name, "SELECT letter_id FROM inbox")}

    def home(self, name: str) -> Home:
        return home_of(self.paths, address_of(name))

    def _rows(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        file = self.home(name).folder / FILE_NAME
        if not file.exists():
            return []
        with closing(sqlite3.connect(file, timeout=30)) as db:
            try:
                return db.execute(sql).fetchall()
            except sqlite3.OperationalError as exc:
                if "no such table" in str(exc):  # it is being made
                    return []
                raise

    def all_stored(self) -> bool:
        return sum(len(self.sent(name)) for name in self.names) >= self._planned()

    def all_told(self) -> bool:
        return all(state == ACTED for name in self.names for _, state, _ in self.sent(name).values())

    def _senders(self) -> int:
        return self.plan.senders or self.plan.agents

    def _each(self) -> int:
        return self.plan.letters // self._senders()

    def _planned(self) -> int:
        return self._each() * self._senders()

    def look_who_lies(self) -> None:
        """Compare what senders were told with what receivers have; what is told later may be true by then."""
        told = {name: self.sent(name) for name in self.names}
        arrived = {name: self.arrived(name) for name in self.names}
        acted = {name: set(self.acted(name)) for name in self.names}
        for name, letters in told.items():
            for letter_id, (receiver, state, _) in letters.items():
                false = (state >= RECEIVED and letter_id not in arrived[receiver]) or (
                    state >= ACTED and letter_id not in acted[receiver]
                )
                if false:
                    self.outcome.told_falsely += 1
                    self.outcome.notes.append(f"{letter_id} of {name} to {receiver}: told {state}, not so")

    def judge(self) -> None:
        found = self.outcome
        acted = {name: Counter(self.acted(name)) for name in self.names}
        found.acted_twice = sum(n - 1 for each in acted.values() for n in each.values())
        stored = 0
        for name in self.names:
            for letter_id, (receiver, state, tries) in self.sent(name).items():
                stored += 1
                found.tried_again += tries > 1
                if not acted[receiver][letter_id]:
                    found.lost += 1
                elif state != ACTED:
                    found.not_told += 1
        found.letters = stored
        found.lost += self._planned() - stored
        self.look_who_lies()
