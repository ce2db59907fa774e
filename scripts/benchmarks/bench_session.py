"""A real session of practice agents in a private home, with the benchmark at its lead's tools."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from agentorchestr.clock import until
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import Recorded
from agentorchestr.model.request import SessionRequest
from agentorchestr.model.states import LEAD
from agentorchestr.model.verdict import CheckCommand
from agentorchestr.model.view import SessionView
from agentorchestr.paths import Paths
from agentorchestr.supervisor.spawner import shim_argv
from agentorchestr.wiring import product

LIMIT_S = 30.0
QUIET_S = 1.0
READ_EVENTS = '[{ do = "call", tool = "wait_for_any", args = { timeout_s = 0.1 } }],'
LEADS = {"idle": READ_EVENTS * 100, "in a turn": '[{ do = "hang" }],'}
"""What the lead's own agent does: read its events whenever it is woken, or never end its first turn."""
SCENARIO = """
[[lead]]
match = "."
turns = [LEAD]

[[worker]]
match = "redraw"
turns = [[{ do = "busy", seconds = 3600 }]]

[[worker]]
match = "."
turns = [[{ do = "end_turn" }]]
"""
IDENTITY = ("-c", "user.name=b", "-c", "user.email=b@example.invalid")


@dataclass
class Bench:
    """One living session."""

    paths: Paths
    session_id: str
    repository: Path
    environment: dict[str, str]

    @cached_property
    def client(self) -> httpx.Client:
        """One for all calls: making one costs more than a call."""
        return httpx.Client(timeout=LIMIT_S, trust_env=False)

    @cached_property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.view.port}"

    def call(self, tool: str, *, caller: str = LEAD, **arguments: Any) -> dict[str, Any]:
        """Call a tool as *caller*, with the token that agent has."""
        token = (self.paths.session_run(self.session_id) / "agents" / caller / "token").read_text()
        bearer = {"Authorization": f"Bearer {token.strip()}"}
        answer = self.client.post(f"{self.url}/tools/{tool}", json=arguments, headers=bearer)
        answer.raise_for_status()
        return dict(answer.json())

    def spawn(self, task: str = "wait") -> str:
        return str(self.call("spawn_worker", task=task)["worker_id"])

    def end_turn(self, worker_id: str) -> None:
        """Tell as its hook that the turn is over: calls made in its name count as a turn of its own."""
        spool = self.paths.session_run(self.session_id) / "spool"
        told = json.dumps({"hook_event_name": "Stop", "session_id": "bench", "last_assistant_message": ""})
        subprocess.run(shim_argv("hook.py", str(spool), worker_id), input=told.encode(), check=True)

    @property
    def view(self) -> SessionView:
        return product.read_session(self.paths, self.session_id)

    def facts(self, after: int = 0) -> Sequence[Recorded]:
        with Journal.open_read(self.paths.session(self.session_id)) as journal:
            return journal.facts(after=after)

    def until(self, holds: Callable[[SessionView], bool], what: str) -> None:
        if not until(lambda: holds(self.view), within_s=LIMIT_S, every_s=0.02):
            states = ", ".join(f"{worker.worker_id} {worker.state}" for worker in self.view.workers.values())
            last = "\n".join(str(recorded.fact) for recorded in self.facts()[-8:])
            raise TimeoutError(f"{what}: not within {LIMIT_S:.0f} s ({states}); the last facts:\n{last}")

    def until_running(self, worker_ids: Sequence[str]) -> None:
        """Wait until each of these agents has asked for its tools."""
        self.until(lambda view: all(view.workers[key].ready for key in worker_ids), "workers running")

    def until_quiet(self) -> None:
        """Wait until nothing has been recorded for a while."""
        seen = -1
        while seen != (seen := self.view.last_seq):
            time.sleep(QUIET_S)

    def until_idle(self, worker_ids: Sequence[str]) -> None:
        """Wait until each has had its first turn and sits at its prompt."""
        self.until(
            lambda view: all(
                view.workers[key].prompt_taken and not view.workers[key].in_turn for key in worker_ids
            ),
            "workers idle",
        )


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *IDENTITY, *words], check=True, capture_output=True)
    return done.stdout.decode().strip()


def make_repository(folder: Path, *, files: int) -> Path:
    """A repository of *files* small files, a hundred in each directory."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for number in range(files):
        place = folder / f"d{number // 100:03d}" / f"f{number:05d}.txt"
        place.parent.mkdir(exist_ok=True)
        place.write_text(f"file {number}\n" * 20)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@contextmanager
def bench_session(*, files: int = 20, lead: str = "idle") -> Iterator[Bench]:
    """Start a session, give it, and take everything of it away again. *lead* is one of ``LEADS``."""
    root = Path(tempfile.mkdtemp(prefix="ao-"))
    env = _environment(root, SCENARIO.replace("LEAD", LEADS[lead]))
    paths = Paths.from_env(env)
    repository = make_repository(root / "repo", files=files)
    session_id = ""
    try:
        session_id = product.start_session(_request(repository, env), paths)
        bench = Bench(paths, session_id, repository, env)
        bench.until(lambda view: view.port > 0 and LEAD in view.workers, "the supervisor and its lead")
        bench.until(lambda view: view.workers[LEAD].prompt_taken, "the lead's first turn")
        yield bench
    finally:
        _end(paths, session_id)
        shutil.rmtree(root, ignore_errors=True)


def _environment(root: Path, text: str) -> dict[str, str]:
    home = root / "home"
    home.mkdir()
    scenario = root / "scenario.toml"
    scenario.write_text(text)
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "AGENTORCHESTR_PRACTICE_SCENARIO": str(scenario),
        "AGENTORCHESTR_PRACTICE_PACE": "0",
    }


def _request(repository: Path, env: dict[str, str]) -> SessionRequest:
    return SessionRequest(
        goal="be measured",
        project=repository,
        lead_agent="practice",
        worker_agents=("practice",),
        max_workers=32,
        checks=(CheckCommand(("true",), source="--checks", shown="true"),),
        environment=env,
    )


def _end(paths: Paths, session_id: str) -> None:
    found = product.control_endpoint(paths, session_id) if session_id else None
    if found is not None:
        url, token = found
        httpx.post(f"{url}/control/stop", headers={"Authorization": f"Bearer {token}"}, timeout=LIMIT_S)
        until(lambda: not product.supervisor_alive(paths, session_id), within_s=LIMIT_S, every_s=0.05)
    if paths.tmux_socket.exists():
        subprocess.run(
            ["tmux", "-S", str(paths.tmux_socket), "kill-server"], check=False, capture_output=True
        )
