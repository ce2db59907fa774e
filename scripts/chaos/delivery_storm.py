"""The storm: sends of all kinds, faults in between, and the time it needs to settle."""

import asyncio
import itertools
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

from agentorchestr.bus import Bus
from agentorchestr.clock import SYSTEM_CLOCK, until
from agentorchestr.errors import OrchestrError
from agentorchestr.model.states import LEAD
from agentorchestr.model.view import WorkerView
from scripts.chaos.delivery_person import Person
from scripts.chaos.delivery_session import ListeningSession, Refused

LURE = "\n$(touch {pwned}) `touch {pwned}`; touch {pwned}\n!touch {pwned}\n/exit\n"
"""What a shell, or an agent's own commands, would do harm with: bodies are never typed."""
NO = ("n", "Enter")
APART_S = 15.0
"""Between two kills of the same kind: a supervisor that falls more often stays down, as it should."""


@dataclass(frozen=True)
class Plan:
    """How hard it blows. The same *seed* gives the same sends and the same order of faults."""

    sends: int = 5000
    workers: int = 5
    seed: str = "1"
    supervisor_every: int = 150
    """So many sends, on average, are between two kills of the supervisor."""
    broker_every: int = 120
    agent_every: int = 200
    outside_share: float = 0.3
    """So many of the sends come over the broker."""
    limit_s: float = 3600.0
    settle_s: float = 180.0


@dataclass
class Send:
    """One thing to be told once. Each attempt is a message of its own, to another agent."""

    number: int
    body: str
    attempts: list[tuple[str, str]] = field(default_factory=list)
    """Message id and receiver; the last one counts."""
    told_lost: list[str] = field(default_factory=list)
    """Attempts of which the sender was told that they were not delivered."""


@dataclass
class Faults:
    supervisor: int = 0
    broker: int = 0
    agents: int = 0
    dialogs: int = 0


class Storm:
    """Runs the plan on a session that listens."""

    def __init__(self, plan: Plan, session: ListeningSession, folder: Path) -> None:
        self.plan = plan
        self.sends: list[Send] = []
        self.faults = Faults()
        self.pwned = folder / "pwned"
        self.notes: list[str] = []
        self._session = session
        self._dice = random.Random(plan.seed)  # noqa: S311 - the same storm for the same seed
        self.person = Person(session, random.Random(f"{plan.seed} person"))  # noqa: S311 - the same
        self._died_with: set[str] = set()
        self._over = threading.Event()
        self._bus_loop = asyncio.new_event_loop()

    def run(self) -> None:
        """Send everything, with faults, then let it settle without any."""
        self.person.sit_down()
        outside = threading.Thread(target=self._serve_outside, name="outside")
        outside.start()
        faults = threading.Thread(target=self._fault_for_ever, name="faults")
        faults.start()
        try:
            self._send_all()
        finally:
            self._over.set()
            faults.join()
            self.person.get_up()
        self._settle()
        self._bus_loop.call_soon_threadsafe(self._bus_done.set)
        outside.join(60)

    # What is sent

    def _send_all(self) -> None:
        began = SYSTEM_CLOCK.monotonic()
        numbers = itertools.count(1)
        while len(self.sends) < self.plan.sends:
            for _ in range(min(self._dice.choice((1, 1, 2, 3, 8, 16)), self.plan.sends - len(self.sends))):
                self._send_one(next(numbers))
            self._resend_lost()
            SYSTEM_CLOCK.rest(self._dice.choice((0.05, 0.2, 0.6, 1.2)))
            if SYSTEM_CLOCK.monotonic() - began > self.plan.limit_s:
                self.notes.append(f"out of time after {len(self.sends)} sends")
                return

    def _send_one(self, number: int) -> None:
        mood = self._dice.choices(("plain", "busy", "ask"), (88, 8, 4))[0]
        lure = LURE.format(pwned=self.pwned) if self._dice.random() < 0.2 else ""
        send = Send(number, f"op-{number} mood:{mood}{lure}")
        self.sends.append(send)
        self._attempt(send, outside=self._dice.random() < self.plan.outside_share)

    def _attempt(self, send: Send, *, outside: bool) -> None:
        """Send to somebody who is there; who just died refuses, and somebody else is asked."""
        for _ in range(20):
            receiver = self._pick()
            try:
                message_id = self._tell(send, receiver.worker_id, outside=outside)
            except Refused:
                continue
            send.attempts.append((message_id, receiver.worker_id))
            return
        self.notes.append(f"op-{send.number}: nobody took it")

    def _pick(self) -> WorkerView:
        assert until(lambda: len(self._session.listeners()) > 1, within_s=120, every_s=0.1)
        return self._dice.choice(self._session.listeners())

    def _tell(self, send: Send, receiver: str, *, outside: bool) -> str:
        operation = f"op-{send.number}-{len(send.attempts)}"
        if outside:
            return self._send_outside(receiver, send.body)
        sender = self._dice.choice(self._session.talkers)
        words = {"to": receiver, "body": send.body, "operation": operation}
        return str(self._session.call(sender, "send_message", **words)["message_id"])

    def _resend_lost(self) -> None:
        """Send again what its sender was told to be lost with an agent that died."""
        self._bury()
        view = self._session.view()
        dead = {w.worker_id for w in view.team if w.killed}
        if not dead:
            return
        heard: dict[str, list[str]] | None = None
        for send in self.sends:
            message_id, receiver = send.attempts[-1] if send.attempts else ("", "")
            if receiver not in dead or message_id in send.told_lost:
                continue
            message = view.messages.get(message_id)
            if message is None or (message.read_at is None and not message.again):
                send.told_lost.append(message_id)
            elif message_id in self._died_with:
                continue
            # What was read its reader may have acted on before it died: the worktree knows.
            heard = self._session.heard() if heard is None else heard
            self._died_with.add(message_id)
            if message_id not in heard:
                self._attempt(send, outside=False)

    def _bury(self) -> None:
        """Give up agents that died, as a lead does: one that nobody gave up may be started again."""
        for worker in self._session.view().team:
            if worker.pid and not worker.alive and not worker.killed:
                self._session.call(LEAD, "kill_worker", worker_id=worker.worker_id)

    # The agent outside

    def _serve_outside(self) -> None:
        asyncio.set_event_loop(self._bus_loop)
        self._bus_done = asyncio.Event()
        self._bus_ready = threading.Event()
        try:
            self._bus_loop.run_until_complete(self._be_outside())
        finally:
            self._bus_loop.close()

    async def _be_outside(self) -> None:
        async with Bus("storm", env=self._session.env) as bus:
            self._bus = bus
            self._bus_ready.set()
            await self._bus_done.wait()

    def _send_outside(self, receiver: str, body: str) -> str:
        assert self._bus_ready.wait(30)
        sending = self._bus.send(f"{self._session.session_id}/{receiver}", body)
        return asyncio.run_coroutine_threadsafe(sending, self._bus_loop).result(60).letter_id

    # What goes wrong meanwhile

    def _fault_for_ever(self) -> None:
        dice = random.Random(f"{self.plan.seed} faults")  # noqa: S311 - the same
        due = {
            "supervisor": self.plan.supervisor_every,
            "broker": self.plan.broker_every,
            "agent": self.plan.agent_every,
        }
        next_at = {name: dice.uniform(0.4, 1.0) * every for name, every in due.items()}
        struck_at: dict[str, float] = {}
        while not self._over.wait(0.3):
            self._answer_dialogs(dice)
            now = SYSTEM_CLOCK.monotonic()
            for name, at in next_at.items():
                if len(self.sends) >= at and now - struck_at.get(name, -APART_S) >= APART_S:
                    next_at[name] = at + dice.uniform(0.7, 1.3) * due[name]
                    struck_at[name] = now
                    self._strike(name, dice)

    def _strike(self, name: str, dice: random.Random) -> None:
        try:
            if name == "supervisor":
                self.faults.supervisor += self._session.kill_supervisor()
            elif name == "broker":
                self.faults.broker += self._session.kill_broker()
            else:
                self._replace(dice)
        except (OrchestrError, Refused, AssertionError) as exc:
            self.notes.append(f"{name}: {type(exc).__name__}: {exc}")

    def _replace(self, dice: random.Random) -> None:
        victims = [one for one in self._session.listeners() if one.worker_id != self.person.at_pane]
        if len(victims) > 2:
            victim = dice.choice(victims)
            self.faults.agents += self._session.kill_agent(victim)
            self._session.spawn()

    def _answer_dialogs(self, dice: random.Random) -> None:
        """Say no, after a while: a yes would be somebody else's."""
        for worker in self._session.view().team:
            waits = worker.alive and worker.asks and worker.worker_id != self.person.at_pane
            if waits and dice.random() < 0.3 and self._session.shows_dialog(worker):
                self.faults.dialogs += 1
                self._session.server.call([("send-keys", "-t", worker.pane_id, *NO)])

    # The end

    def _settle(self) -> None:
        dice = random.Random(0)  # noqa: S311 - the same

        def still() -> bool:
            self._answer_dialogs(dice)
            self._resend_lost()
            view = self._session.view()
            rest = (not w.in_turn and not view.waiting.get(w.worker_id) for w in self._session.listeners())
            return all(rest) and self._all_arrived()

        if not until(still, within_s=self.plan.settle_s, every_s=0.5):
            self.notes.append("it did not settle")

    def _all_arrived(self) -> bool:
        view = self._session.view()
        alive = {w.worker_id for w in view.team if w.alive}
        last = [send.attempts[-1] for send in self.sends if send.attempts]
        return all(message_id in view.messages for message_id, receiver in last if receiver in alive)
