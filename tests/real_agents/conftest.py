"""The real agents of the machine, a scripted model, and a home for both."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentorchestr.agents.asking import locate
from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.launch import LaunchRequest, build_launch
from agentorchestr.agents.trust import trust_repository
from agentorchestr.paths import Paths
from tests.conftest import git, make_repo
from tests.real_agents import binaries
from tests.real_agents.mcp_stub import McpStub
from tests.real_agents.pane import Pane
from tests.real_agents.started import HOOK, PROMPT, Started
from tests.real_agents.whole_goal import FILES
from tests.real_agents.world import World
from tests.scripted_model.scenario import ECHO, Part, Rule, Scenario, by_rules, call, say
from tests.scripted_model.server import ScriptedModel

BRIEF = "write hello into greeting.txt"


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not binaries.is_installed():
        pytest.skip("the real agents are not installed: ./scripts/install-real-agents")


def small_job() -> Scenario:
    """One principal that fetches its brief, writes a file, shows it in the shell, and reports."""
    steps = by_rules(
        Rule(call("mcp:report_done", summary="written"), after="shell", result="hello"),
        Rule(call("shell", command="cat greeting.txt"), after="write_file"),
        Rule(call("write_file", path="greeting.txt", content="hello\n"), after="mcp:get_brief", result=BRIEF),
        Rule(say("All done."), after="mcp:report_done", result="noted"),
        Rule(call("mcp:get_brief"), message="agentorchestr"),
        otherwise=say("I am lost."),
    )
    return Scenario(parts=(Part("worker", steps),))


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(small_job()) as running:
        yield running


@pytest.fixture
def stub() -> Iterator[McpStub]:
    running = McpStub(BRIEF)
    yield running
    running.stop()


@pytest.fixture
def agent_env(private_home: dict[str, str], model: ScriptedModel) -> dict[str, str]:
    return binaries.at_home(private_home, model_url=model.url)


@pytest.fixture
def project(repo: Path) -> Path:
    return repo


@pytest.fixture
def start(
    tmp_path: Path, tmux_socket: Path, agent_env: dict[str, str], stub: McpStub, project: Path
) -> Callable[[str], Started]:
    worktree, spool = tmp_path / 'a worktree\'s "place"', tmp_path / "spool"
    git(project, "worktree", "add", "-q", "-b", "work", str(worktree))
    spool.mkdir()

    def started(name: str) -> Started:
        spec = load_catalogue()[name]
        binary = locate(spec, agent_env)
        assert binary is not None
        trust_repository(spec, project, agent_env)
        launch = build_launch(
            LaunchRequest(
                spec=spec,
                binary=binary,
                worker_id="w1",
                lead=False,
                worktree=worktree,
                repository=project,
                agent_dir=tmp_path / "agent dir",
                mcp_url=stub.url,
                token="a-token",
                brief=tmp_path / "brief.md",
                first_line=PROMPT,
                hook_argv=(sys.executable, "-c", HOOK, str(spool)),
                agent_session=str(uuid.uuid4()),
                base_env=agent_env,
                path_prefix=tmp_path,
                mark="test:w1",
            )
        )
        return Started(spec, launch, Pane(tmux_socket, launch.argv, launch.cwd, launch.env), spool)

    return started


@pytest.fixture
def world(private_home: dict[str, str], tmp_path: Path) -> Iterator[World]:
    project = make_repo(tmp_path / "project", FILES)
    (project / "README.md").write_text("a calculator, and my unsaved words\n")
    (project / "private.txt").write_text("not for git\n")
    with ScriptedModel(ECHO) as model:
        env = binaries.at_home(private_home, model_url=model.url)
        env["PYTHONPATH"] = str(Path(__file__).parents[2])
        found = World(env, project, model, Paths.from_env(env))
        yield found
        found.ours("stop")
        tmux = ["tmux", "-S", str(found.paths.tmux_socket), "kill-server"]
        subprocess.run(tmux, check=False, capture_output=True)
