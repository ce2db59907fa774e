"""The real command line in a home of its own, and the proof that nothing of it is left."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.clock import until
from agentorchestr.ledger import Ledger
from agentorchestr.mqtt.broker import stop_broker
from agentorchestr.paths import Paths
from agentorchestr.process import end_marked, marked
from agentorchestr.tmux.server import TmuxServer

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Product:
    """Runs ``agentorchestr`` as a person would, in a private home."""

    env: dict[str, str]
    paths: Paths

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "agentorchestr", *words]

    def run(
        self, *words: str, cwd: Path, timeout_s: float = 120, stdin: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=cwd,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *words: str, cwd: Path, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*words),
            cwd=cwd,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def json(self, *words: str, cwd: Path) -> Any:
        done = self.run(*words, "--json", cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)["data"]

    def sessions(self) -> list[str]:
        return sorted(folder.name for folder in self.paths.sessions.glob("*") if folder.is_dir())

    def assert_nothing_left(self) -> None:
        """The supervisor itself ends a moment after its session did."""
        assert until(lambda: not self.left_over(), within_s=5, every_s=0.1), self.left_over()

    def left_over(self) -> list[int]:
        """Processes of this home's sessions, agents and supervisors."""
        return [pid for session_id in self.sessions() for pid in marked(session_id)]


@pytest.fixture
def product(private_home: dict[str, str]) -> Iterator[Product]:
    env = {
        **private_home,
        "PYTHONPATH": str(ROOT),
        "AGENTORCHESTR_PRACTICE_PACE": "0",
        "PYTHONWARNINGS": "ignore",
    }
    env["GIT_AUTHOR_NAME"] = env["GIT_COMMITTER_NAME"] = "A"
    env["GIT_AUTHOR_EMAIL"] = env["GIT_COMMITTER_EMAIL"] = "a@example.invalid"
    made = Product(env, Paths.from_env(env))
    yield made
    stop_broker(made.paths)
    if made.paths.run.is_dir():
        server = TmuxServer(made.paths.tmux_socket)
        for session_id in made.sessions():
            server.end_session(f"ao-{session_id}")
            end_marked(session_id)
            Ledger(made.paths.session_run(session_id), session_id).end(grace_s=0.2)


@pytest.fixture
def scenario(short_dir: Path) -> Any:
    """Write a practice scenario and get its path."""

    def write(text: str) -> str:
        path = short_dir / "scenario.toml"
        path.write_text(text)
        return str(path)

    return write
