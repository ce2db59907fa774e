"""The published swarmbus, used as its own people use it: its command, and its library in its own Python."""

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from agentorchestr.clock import until

ENTRY = re.compile(r"^## \[[^]]+\] From: (\S+) \| (.*)\n((?:.*\n)*?)(?=\n## |\Z)", re.MULTILINE)


def installed() -> Path | None:
    """The folder of its programs, or None."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = Path(os.environ.get("AGENTORCHESTR_NEIGHBOURS") or f"{cache}/agentorchestr/neighbours")
    programs = home / "swarmbus/bin"
    return programs if (programs / "swarmbus").exists() else None


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


class Swarmbus:
    """One agent of swarmbus."""

    def __init__(self, programs: Path, name: str, port: int, folder: Path, env: dict[str, str]) -> None:
        self.name = name
        self.inbox = folder / f"{name}.md"
        self._programs = programs
        self._where = ("--broker", "127.0.0.1", "--port", str(port))
        self._port = port
        self._folder = folder
        self._env = {"HOME": os.fspath(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **env}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Run its daemon until it is online."""
        with (self._folder / f"{self.name}.log").open("wb") as log:
            child = subprocess.Popen(
                [
                    *(self._programs / "swarmbus", "start", "--agent-id", self.name, *self._where),
                    *("--inbox", self.inbox, *words),
                ],
                env=self._env,
                stdout=log,
                stderr=log,
            )
        self._running.append(child)
        assert until(lambda: self.name in self.online(), within_s=30), self.log()
        return child

    def stop(self, child: subprocess.Popen[bytes]) -> None:
        """As a service manager does."""
        child.send_signal(signal.SIGTERM)
        child.wait(timeout=20)

    def log(self) -> str:
        return (self._folder / f"{self.name}.log").read_text()

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [self._programs / "swarmbus", *words, *self._where],
            env=self._env,
            capture_output=True,
            timeout=60,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def online(self) -> list[str]:
        return list(json.loads(self.run("list", "--json")))

    def send(self, to: str, body: str, *words: str, subject: str = "s") -> None:
        self.run(*("send", "--agent-id", self.name, "--to", to, "--subject", subject, "--body", body, *words))

    def python(self, script: str) -> Any:
        """What *script*, which knows ``name``, ``where`` and ``state``, prints as JSON."""
        user, password = (self._env.get(f"SWARMBUS_BROKER_{word}") for word in ("USERNAME", "PASSWORD"))
        known = {"broker": "127.0.0.1", "port": self._port, "username": user, "password": password}
        head = f"import asyncio, json\nname, state, where = {self.name!r}, {str(self._folder)!r}, {known!r}\n"
        done = subprocess.run(
            [self._programs / "python", "-c", head + script],
            env=self._env,
            capture_output=True,
            timeout=60,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def entries(self) -> list[tuple[str, str, str]]:
        """Sender, subject and body of what its daemon wrote into the inbox file."""
        text = self.inbox.read_text() if self.inbox.exists() else ""
        return [(one[0], one[1], one[2].rstrip("\n")) for one in ENTRY.findall(text)]

    def has(self, body: str) -> bool:
        """Whether a message came within a time that a busy machine keeps."""
        return until(lambda: body in [entry[2] for entry in self.entries()], within_s=30, every_s=0.05)

    def end_all(self) -> None:
        for child in self._running:
            if child.poll() is None:
                child.kill()
            child.wait(timeout=10)
