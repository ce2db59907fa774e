"""A session's view from a list of facts, without a journal."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentorchestr.journal.reducer import derive
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.view import SessionView
from agentorchestr.tmux.server import TmuxServer


def created(*, manual: bool = False, timeout_s: float = 0.0) -> f.SessionCreated:
    return f.SessionCreated(
        session_id="s1",
        goal="goal",
        project="/p",
        repository="/p",
        base_branch="main",
        base_commit="c0",
        lead_agent="" if manual else "practice",
        worker_agents=("practice",),
        max_workers=2,
        checks=(),
        timeout_s=timeout_s,
        land=False,
        manual=manual,
    )


def spawned(worker_id: str) -> f.WorkerSpawned:
    role = "lead" if worker_id == "lead" else "implementer"
    branch = f"agentorchestr/s1/{worker_id}"
    return f.WorkerSpawned(
        worker_id, role, "practice", "task", (), "", "", branch, "/w", f"nonce-{worker_id}"
    )


def lives(worker_id: str) -> tuple[f.Fact, ...]:
    return (
        spawned(worker_id),
        f.PaneOpened(worker_id, f"%{worker_id}", 7, 1.0),
        f.AgentReady(worker_id, "t"),
    )


@pytest.fixture
def view_of() -> Callable[..., SessionView]:
    def build(*facts: f.Fact, first: f.SessionCreated | None = None) -> SessionView:
        everything = (first or created(), *facts)
        return derive(Recorded(n, float(n), 1, fact) for n, fact in enumerate(everything, start=1))

    return build


@pytest.fixture
def stage(tmp_path: Path, tmux_socket: Path, private_home: dict[str, str]) -> Iterator[Any]:
    """A watcher on real panes; see ``watching``."""
    from tests.supervisor.watching import Stage, new_book

    made = Stage(tmp_path, TmuxServer(tmux_socket, env=private_home), new_book(tmp_path))
    yield made
    made.close()
