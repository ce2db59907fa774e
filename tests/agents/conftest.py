"""A request for a launch, and the real programs where they are."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.launch import Launch, LaunchRequest
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.process import end_marked
from tests.agents.mcp_with_token import McpWithToken
from tests.agents.panes import AgentPane
from tests.agents.stage import TOKEN, Stage
from tests.conftest import git, make_repo
from tests.real_agents import binaries
from tests.scripted_model.scenario import Part, Scenario, call, in_order, say
from tests.scripted_model.server import ScriptedModel

HOOK = ("/usr/bin/python3", "-I", "-S", '/opt/it\'s "mine"/hook.py', "/run/a spool", "w1")


@pytest.fixture(scope="session")
def catalogue() -> dict[str, AgentSpec]:
    return load_catalogue()


@pytest.fixture
def program(short_dir: Path) -> Callable[..., Path]:
    """Writes an executable shell script and returns its path; ``bin`` is a folder for PATH."""
    folder = short_dir / "bin"
    folder.mkdir()

    def write(name: str, body: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)
        return file

    return write


@pytest.fixture
def request_for(
    catalogue: dict[str, AgentSpec], private_home: dict[str, str], repo: Path, short_dir: Path
) -> Callable[..., LaunchRequest]:
    """A launch request for an agent by name; fields may be given by keyword."""

    def make(name: str, **given: object) -> LaunchRequest:
        fields: dict[str, object] = {
            "spec": catalogue[name],
            "binary": Path("/opt/bin") / name,
            "worker_id": "w1",
            "lead": False,
            "worktree": repo,
            "repository": repo,
            "agent_dir": short_dir / "agents" / "w1",
            "mcp_url": "http://127.0.0.1:4711/mcp",
            "token": TOKEN,
            "brief": short_dir / "brief.md",
            "first_line": "Read the brief and do what it says.",
            "hook_argv": HOOK,
            "agent_session": str(uuid.uuid4()),
            "base_env": {**private_home, "IS_SANDBOX": "1"},
            "path_prefix": short_dir / "prefix",
            "mark": f"test-{uuid.uuid4().hex}:w1",
        }
        return LaunchRequest(**{**fields, **given})  # type: ignore[arg-type]

    return make


@pytest.fixture
def mcp() -> Iterator[McpWithToken]:
    running = McpWithToken("the brief", token=TOKEN)
    yield running
    running.stop()


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark of this test's own; whatever carries it at the end is ended."""
    own = f"test-{uuid.uuid4().hex}:"
    yield own
    end_marked(own)


@pytest.fixture
def real_agents() -> Path:
    folder = os.environ.get("AGENTORCHESTR_REAL_AGENTS", "")
    if not folder or not (Path(folder) / "node_modules" / ".bin" / "claude").exists():
        pytest.skip("AGENTORCHESTR_REAL_AGENTS names no folder with the real agents")
    return Path(folder)


@pytest.fixture
def stage(
    *,
    real_agents: Path,
    private_home: dict[str, str],
    short_dir: Path,
    mcp: McpWithToken,
    catalogue: dict[str, AgentSpec],
    mark: str,
) -> Iterator[Stage]:
    with ScriptedModel(
        Scenario(parts=(Part("w", in_order(call("mcp:get_brief"), say("All done."))),))
    ) as model:
        env = binaries.at_home(private_home, model_url=model.url)
        env["PATH"] = f"{real_agents / 'node_modules' / '.bin'}{os.pathsep}{env['PATH']}"
        repo = make_repo(short_dir / 'a project\'s "root"', {"README.md": "sample\n"})
        # Far from the repository, as in the product: trust has to reach it all the same.
        worktree = short_dir / "worktrees" / "w 1"
        git(repo, "worktree", "add", "-q", str(worktree), "-b", "w1")
        yield Stage(env, repo, worktree, short_dir, mcp, model, catalogue, mark)


@pytest.fixture
def open_pane(tmux_socket: Path, short_dir: Path) -> Iterator[Callable[[Launch], AgentPane]]:
    opened: list[AgentPane] = []

    def start(launch: Launch) -> AgentPane:
        opened.append(AgentPane(tmux_socket, launch, short_dir))
        return opened[-1]

    yield start
    for pane in opened:
        pane.end()
