"""The product's own launch of each agent, in a real pane: no dialog, all signals, right counts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.probe import LoginState, probe_all
from agentorchestr.agents.screens import ScreenState
from agentorchestr.agents.signals import read_status_file
from agentorchestr.agents.tokens import count_tokens
from agentorchestr.clock import until
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import Tokens
from tests.real_agents.mcp_stub import McpStub
from tests.real_agents.started import PROMPT, Started
from tests.scripted_model.server import ScriptedModel

pytestmark = pytest.mark.real_agents


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_an_installed_agent_with_a_key_is_ready(agent_env: dict[str, str], name: str) -> None:
    (found,) = probe_all([load_catalogue()[name]], env=agent_env, cache_file=None)
    assert (found.login, found.detail, found.broken) == (LoginState.READY, "", False)


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_an_agent_takes_its_prompt_and_tells_what_it_does(
    start: Callable[[str], Started], stub: McpStub, model: ScriptedModel, name: str
) -> None:
    agent = start(name)
    agent.give_prompt(stub)
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
    assert agent.draft() == ""


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_tokens_are_counted_as_the_model_told_them(
    start: Callable[[str], Started], stub: McpStub, model: ScriptedModel, name: str
) -> None:
    agent = start(name)
    agent.give_prompt(stub)
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
