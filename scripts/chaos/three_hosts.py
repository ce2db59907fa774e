"""A broker host and two hosts with agents, and the product on each as a person would start it."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentorchestr.bus.file_bridge import MARK
from scripts.chaos.three_hosts_broker import BOUND, SharedBroker
from scripts.chaos.three_hosts_net import Net, three_hosts

TOP = Path(__file__).parents[2]
PYTHON = (sys.executable, "-P", "-m")
ANN, BEN = "team/left/ann", "team/right/ben"
"""Do tasks and answer questions, each on its own host."""
SENDERS = {"left": "team/left/sue", "right": "team/right/tom"}
GIVERS = {"left": "team/left/gil", "right": "team/right/gus"}
PERSONS = {"left": "team/left/person", "right": "team/right/person"}
PEOPLE = {"left": "lea", "right": "rob"}
"""Whose sessions run there; their logins serve many agents."""
GOES_S = 60.0


def until(holds: Callable[[], Any], what: str, *, within_s: float = GOES_S) -> Any:
    """What *holds* gives once it is true."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s:g} s")
        time.sleep(0.1)
    return found


@dataclass
class Three:
    """The hosts at work."""

    net: Net
    broker: SharedBroker
    folder: Path
    logins: dict[str, str]
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def env(self, host: str, agent: str = "") -> dict[str, str]:
        """A home of the host's own, and the login of *agent* at the broker, or of the person without one."""
        home = self.folder / host
        for name in ("home", "run"):
            (home / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        env = {
            "HOME": str(home / "home"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONPATH": str(TOP),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AGENTORCHESTR_BROKER_CA": str(self.broker.ca),
        }
        if not agent:
            person = PEOPLE[host]
            login = {
                "AGENTORCHESTR_BROKER_USER": person,
                "AGENTORCHESTR_BROKER_PASSWORD": self.logins[person],
            }
            return {**env, **login}
        file = home / f"{agent.replace('/', '~')}.login"
        file.touch(mode=0o600)
        file.write_text(f"{agent}:{self.logins[agent]}\n")
        named = {"AGENTORCHESTR_BROKER": self.broker.bound, "AGENTORCHESTR_BROKER_LOGIN_FILE": str(file)}
        return {**env, **named, "AGENTORCHESTR_AGENT_ID": agent}

    def start(self, host: str, *words: str, agent: str = "") -> "subprocess.Popen[bytes]":
        log = self.folder / f"{host}.log"
        child = self.net.start(host, words, env=self.env(host, agent), cwd=TOP, log=log)
        self.running.append(child)
        return child

    def run(
        self, host: str, *words: str, agent: str = "", env: Mapping[str, str] | None = None, cwd: Path = TOP
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.net.argv(host, *words),
            env={**self.env(host, agent), **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def bus(self, host: str, verb: str, *words: str, agent: str) -> Any:
        """What ``agentorchestr bus VERB`` answers on *host*."""
        done = self.run(host, *PYTHON, "agentorchestr", "bus", verb, *words, "--json", agent=agent)
        assert done.stdout, f"bus {verb} on {host}: {done.stderr}"
        return json.loads(done.stdout)["data"]

    def online(self, host: str) -> set[str]:
        cards = self.bus(host, "list", "--online", agent=PERSONS[host])["agents"]
        return {card["address"] for card in cards}

    def start_broker(self) -> None:
        self.running.append(
            self.net.start(
                "broker", self.broker.argv(), env={}, cwd=self.folder, log=self.folder / "broker.log"
            )
        )

    def entries(self, host: str) -> list[dict[str, Any]]:
        """What the sender's agent of *host* acted on."""
        file = self.folder / f"{host}.md"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        marked = [line.removeprefix(MARK).removesuffix(" -->") for line in lines if line.startswith(MARK)]
        return [json.loads(line) for line in marked]

    def acted(self, host: str) -> list[str]:
        return [str(entry["id"]) for entry in self.entries(host)]

    def end(self) -> None:
        for child in self.running:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.running:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdout is not None:
                child.stdout.close()


@contextmanager
def team(folder: Path) -> Iterator[Three]:
    """The three hosts, with a broker and nobody else on it."""
    with ExitStack() as stack:
        net = stack.enter_context(three_hosts())
        names = (ANN, BEN, *SENDERS.values(), *GIVERS.values(), *PERSONS.values())
        agents = {name: secrets.token_urlsafe(16) for name in names}
        people = {name: secrets.token_urlsafe(16) for name in PEOPLE.values()}
        broker = SharedBroker(folder / "broker", net.address("broker"))
        broker.write(agents, sessions=people)
        made = Three(net, broker, folder, {**agents, **people})
        stack.callback(made.end)
        made.start_broker()
        until(lambda: _listens(made), "the broker listens", within_s=20)
        yield made


def _listens(three: Three) -> bool:
    knock = f"import socket; socket.create_connection(('{three.broker.address}', {BOUND}), 1)"
    return three.run("left", sys.executable, "-c", knock).returncode == 0
