"""A stand-in for the wiring, and a stage to type commands on."""

# ruff: noqa: ARG002  # a stand-in keeps the signatures of its contract

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agentorchestr.agents.probe import Installed, LoginState
from agentorchestr.cli.main import cli
from agentorchestr.cli.product import Shell
from agentorchestr.errors import UsageError
from agentorchestr.journal.reducer import derive
from agentorchestr.model.facts import Fact, Recorded, SessionCreated, SessionEnded, WorkerSpawned
from agentorchestr.model.request import SessionRequest
from agentorchestr.model.resume import Resumable, Resumed
from agentorchestr.model.states import Outcome
from agentorchestr.model.verdict import CheckCommand
from agentorchestr.model.view import SessionView
from agentorchestr.paths import Paths

TIME = 1_700_000_000.0


@dataclass(frozen=True)
class Landing:
    branch: str = "main"
    commit: str = "c" * 40
    moved: bool = True
    how: str = "fast-forward"


def installed(name: str, login: LoginState = LoginState.READY, *, broken: bool = False) -> Installed:
    return Installed(name, Path("/opt") / name, "1.2.3", login, "", broken)


def created(session_id: str, **changes: object) -> SessionCreated:
    values: dict[str, object] = {
        "session_id": session_id,
        "goal": "a goal",
        "project": "/p",
        "repository": "/p",
        "base_branch": "main",
        "base_commit": "b" * 40,
        "lead_agent": "claude",
        "worker_agents": ("codex",),
        "max_workers": 4,
        "checks": (CheckCommand(("true",), "--checks", "true"),),
        "timeout_s": 0.0,
        "land": False,
        "manual": False,
    }
    return SessionCreated(**{**values, **changes})  # type: ignore[arg-type]


def spawned(worker_id: str, **changes: object) -> WorkerSpawned:
    values: dict[str, object] = {
        "worker_id": worker_id,
        "role": "implementer",
        "agent": "codex",
        "task": "t",
        "file_scope": (),
        "criteria": "",
        "context": "",
        "branch": "b",
        "worktree": "/w",
        "nonce": "n",
    }
    return WorkerSpawned(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class StandIn:
    """Keeps the wiring's contract with facts in memory, and derives views as the journal does."""

    agents: list[Installed] = field(default_factory=lambda: [installed("claude"), installed("codex")])
    facts: dict[str, list[Recorded]] = field(default_factory=dict)
    requests: list[SessionRequest] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)
    resumed: list[tuple[str, float | None]] = field(default_factory=list)
    how: Resumed = Resumed.STARTED
    endpoint: tuple[str, str] | None = None
    alive: bool = True
    damaged: list[str] = field(default_factory=list)
    whole_reads: int = 0
    """How often a whole journal was read."""
    outcome: Outcome | None = Outcome.DONE
    on_read: Callable[[], None] = lambda: None

    def add(self, session_id: str, *facts: Fact) -> None:
        kept = self.facts.setdefault(session_id, [])
        for fact in facts:
            seq = len(kept) + 1
            kept.append(Recorded(seq, TIME + seq, 1, fact))

    def start_session(self, request: SessionRequest, paths: Paths) -> str:
        self.requests.append(request)
        self.add("abc123", created("abc123", goal=request.goal, project=str(request.project)), spawned("w1"))
        if self.outcome is not None:
            self.add("abc123", SessionEnded(self.outcome, "so it ended"))
        return "abc123"

    def run_manual_child(self, request: SessionRequest, paths: Paths) -> tuple[str, Outcome]:
        session_id = self.start_session(request, paths)
        return session_id, self.outcome or Outcome.DONE

    def read_session(self, paths: Paths, session_id: str) -> SessionView:
        self.whole_reads += 1
        self.on_read()
        return derive(self.facts[session_id])

    def list_sessions(self, paths: Paths) -> tuple[SessionView, ...]:
        return tuple(derive(facts) for facts in self.facts.values())

    def find_session(self, paths: Paths, wanted: str, project: Path) -> SessionView:
        for session_id, facts in self.facts.items():
            if session_id.startswith(wanted):
                return derive(facts)
        raise UsageError(f"no session begins with {wanted!r}", hint="agentorchestr --list-sessions")

    def control_endpoint(self, paths: Paths, session_id: str) -> tuple[str, str] | None:
        return self.endpoint

    def find_resumable(self, paths: Paths, project: Path) -> SessionView:
        return self.find_session(paths, "", project)

    def resumable(self, paths: Paths, view: SessionView) -> Resumable:
        return Resumable(view.outcome in (None, Outcome.PAUSED), "so it is")

    def resume_session(
        self, paths: Paths, session_id: str, *, env: Mapping[str, str], timeout_s: float | None
    ) -> Resumed:
        self.resumed.append((session_id, timeout_s))
        return self.how

    def pause_session(self, paths: Paths, session_id: str) -> SessionView:
        self.paused.append(session_id)
        if derive(self.facts[session_id]).outcome is None:
            self.add(session_id, SessionEnded(Outcome.PAUSED, "paused"))
        return derive(self.facts[session_id])

    def stop_session(self, paths: Paths, session_id: str) -> SessionView:
        self.stopped.append(session_id)
        return derive(self.facts[session_id])

    def land_session(self, paths: Paths, session_id: str, *, unverified: bool = False) -> Landing:
        return Landing(how="unproven") if unverified else Landing()

    def attach_argv(self, paths: Paths, session_id: str) -> list[str]:
        return ["true"]

    def detect(
        self, paths: Paths, env: Mapping[str, str], names: Sequence[str] = ()
    ) -> tuple[Installed, ...]:
        return tuple(one for one in self.agents if not names or one.name in names)

    def read_facts(self, paths: Paths, session_id: str, after: int) -> Sequence[Recorded]:
        self.on_read()
        return [one for one in self.facts[session_id] if one.seq > after]

    def supervisor_alive(self, paths: Paths, session_id: str) -> bool:
        return self.alive

    def looked_after(self, view: SessionView) -> bool:
        return self.alive

    def unreadable_sessions(self, paths: Paths, listed: Collection[str]) -> tuple[str, ...]:
        return tuple(one for one in self.damaged if one not in listed)

    def is_finished(self, view: SessionView) -> bool:
        return view.outcome is not None


@dataclass
class Stage:
    """A project directory, a private home and a product to type commands at."""

    product: StandIn
    env: dict[str, str]
    project: Path

    def run(self, *words: str, typed: str = "") -> Result:
        shell = Shell(env=self.env, cwd=self.project, load=lambda: self.product)
        return CliRunner().invoke(cli, list(words), obj=shell, input=typed)

    def refused(self, *words: str) -> tuple[str, str]:
        """The message and the hint of a command that is refused."""
        result = self.run(*words)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        lines = [
            line for line in result.stderr.splitlines() if line.startswith(("agentorchestr: ", "  hint: "))
        ]
        assert len(lines) == 2, result.stderr
        assert lines[0].startswith("agentorchestr: ")
        assert lines[1].startswith("  hint: ")
        return lines[0].removeprefix("agentorchestr: "), lines[1].removeprefix("  hint: ")

    @property
    def request(self) -> SessionRequest:
        (request,) = self.product.requests
        return request


@pytest.fixture
def stage(private_home: dict[str, str], repo: Path) -> Stage:
    return Stage(StandIn(), private_home, repo)


@pytest.fixture
def make_installed() -> Callable[..., Installed]:
    return installed


@pytest.fixture
def make_facts() -> tuple[Callable[..., SessionCreated], Callable[..., WorkerSpawned]]:
    return created, spawned


@pytest.fixture
def now() -> float:
    return time.time()


@pytest.fixture
def real_env(private_home: dict[str, str], short_dir: Path) -> dict[str, str]:
    """An environment for a real process: a PATH with what we need and no agent on it."""
    import shutil
    import sys

    folder = short_dir / "bin"
    folder.mkdir()
    for name in ("git", "tmux", "sh", "env", "sleep"):
        (folder / name).symlink_to(shutil.which(name) or name)
    (folder / "python3").symlink_to(sys.executable)
    root = Path(__file__).parents[2]
    return {**private_home, "PATH": str(folder), "PYTHONPATH": os.fspath(root)}
