"""The product's own launch of each agent, in a real pane: no dialog, all signals, right counts."""

import json
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.launch import Launch, LaunchRequest, PromptBy, build_launch, locate
from agentorchestr.agents.probe import LoginState, probe_all
from agentorchestr.agents.screens import ScreenState, classify, composer_text
from agentorchestr.agents.signals import AgentSignal, read_hook, read_status_file
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.tokens import count_tokens
from agentorchestr.agents.trust import trust_repository
from agentorchestr.clock import until
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import Tokens
from tests.conftest import git
from tests.real_agents.mcp_stub import McpStub
from tests.real_agents.pane import Pane
from tests.scripted_model.server import ScriptedModel

pytestmark = pytest.mark.real_agents

PROMPT = 'Read the file "/nowhere/brief.md" completely and do what agentorchestr says.'
HOOK = "import sys, time; open(f'{sys.argv[1]}/{time.time_ns()}.json', 'w').write(sys.stdin.read())"


@dataclass
class Started:
    """An agent that was started as the product does it."""

    spec: AgentSpec
    launch: Launch
    pane: Pane
    spool: Path

    def signals(self) -> list[AgentSignal]:
        payloads = [json.loads(file.read_text() or "{}") for file in sorted(self.spool.iterdir())]
        return [signal for payload in payloads if (signal := read_hook(self.spec, payload)) is not None]

    def kinds(self) -> list[AgentEventKind]:
        return [signal.kind for signal in self.signals()]

    def state(self) -> ScreenState:
        return classify(self.spec, self.pane.screen().splitlines())


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


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_an_installed_agent_with_a_key_is_ready(agent_env: dict[str, str], name: str) -> None:
    (found,) = probe_all([load_catalogue()[name]], env=agent_env, cache_file=None)
    assert (found.login, found.detail, found.broken) == (LoginState.READY, "", False)


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_an_agent_takes_its_prompt_and_tells_what_it_does(
    start: Callable[[str], Started], stub: McpStub, model: ScriptedModel, name: str
) -> None:
    agent = start(name)
    assert until(lambda: stub.lists > 0, within_s=20), agent.pane.screen()
    if agent.launch.prompt_by is PromptBy.TYPED:
        assert until(lambda: agent.state() is ScreenState.READY, within_s=10), agent.pane.screen()
        assert until(lambda: composer_text(agent.spec, agent.pane.coloured_lines()) == "", within_s=5)
        agent.pane.type_line(PROMPT)
    over = until(lambda: AgentEventKind.TURN_ENDED in agent.kinds(), within_s=30)
    assert over, agent.pane.screen() + "\n".join(record.line() for record in model.records)
    heard = model.of("worker")[0].conversation
    assert heard is not None
    assert heard.messages == (PROMPT,)
    assert stub.done == ["written"]
    assert [kind for kind in agent.kinds() if kind is AgentEventKind.PROMPT_TAKEN] == [
        AgentEventKind.PROMPT_TAKEN
    ]
    assert AgentEventKind.ACTIVE in agent.kinds()
    assert until(lambda: agent.state() is ScreenState.READY, within_s=10), agent.pane.screen()
    assert composer_text(agent.spec, agent.pane.coloured_lines()) == ""


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_tokens_are_counted_as_the_model_told_them(
    start: Callable[[str], Started], stub: McpStub, model: ScriptedModel, name: str
) -> None:
    agent = start(name)
    if agent.launch.prompt_by is PromptBy.TYPED:
        assert until(lambda: stub.lists > 0 and agent.state() is ScreenState.READY, within_s=20)
        agent.pane.type_line(PROMPT)
    assert until(lambda: AgentEventKind.TURN_ENDED in agent.kinds(), within_s=30), agent.pane.screen()
    transcript = Path(agent.signals()[-1].transcript)
    spent = model.spent("worker")
    expected = Tokens(input=spent.fresh, output=spent.output, cached=spent.cached, known=True)
    assert until(lambda: count_tokens(agent.spec, transcript) == expected, within_s=5), expected


def test_claudes_status_file_agrees(start: Callable[[str], Started], stub: McpStub) -> None:
    agent = start("claude")
    assert until(lambda: stub.lists > 0, within_s=20), agent.pane.screen()

    def told() -> AgentEventKind | None:
        signal = read_status_file(agent.spec, agent.pane.pid(), agent.launch.env)
        return signal.kind if signal else None

    assert until(lambda: told() is AgentEventKind.TURN_ENDED, within_s=10), told()


def test_a_woken_agent_gets_the_line_as_it_was_typed(
    start: Callable[[str], Started], stub: McpStub, model: ScriptedModel
) -> None:
    agent = start("codex")
    assert until(lambda: AgentEventKind.TURN_ENDED in agent.kinds(), within_s=30), agent.pane.screen()
    agent.pane.type_line("A second line for agentorchestr.")
    assert until(lambda: len(stub.done) == 2, within_s=30), agent.pane.screen()
    heard = model.of("worker")[-1].conversation
    assert heard is not None
    assert heard.messages[-1] == "A second line for agentorchestr."
