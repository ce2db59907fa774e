"""What the real agents tell when the model's API goes wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentorchestr.agents.screens import ScreenState
from agentorchestr.agents.signals import AgentSignal, read_rollout
from agentorchestr.clock import until
from agentorchestr.model.states import AgentEventKind
from tests.real_agents import binaries
from tests.real_agents.mcp_stub import McpStub
from tests.real_agents.started import Started
from tests.scripted_model.conversation import Answer, Fault
from tests.scripted_model.scenario import Part, Scenario
from tests.scripted_model.server import ScriptedModel

pytestmark = pytest.mark.real_agents

FAILURES = {AgentEventKind.TURN_FAILED, AgentEventKind.LIMITED}


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Iterator[ScriptedModel]:
    """A model that never answers well; the test's parameter says how."""
    answer = Answer(text="never", fault=request.param)
    with ScriptedModel(Scenario(parts=(Part("worker", lambda _: answer),))) as running:
        yield running


@pytest.fixture
def agent_env(private_home: dict[str, str], model: ScriptedModel) -> dict[str, str]:
    return binaries.at_home(private_home, model_url=model.url) | {"CLAUDE_CODE_MAX_RETRIES": "1"}


def failure(agent: Started) -> AgentSignal | None:
    """The newest failure it told: by a hook, or in its transcript."""
    signals = agent.signals()
    transcripts = [signal.transcript for signal in signals if signal.transcript]
    rollout = read_rollout(agent.spec, Path(transcripts[-1])) if transcripts else None
    told = [signal for signal in (*signals, rollout) if signal is not None and signal.kind in FAILURES]
    return told[-1] if told else None


LIMITED = (AgentEventKind.LIMITED, {ScreenState.LIMITED, ScreenState.FAILED})
FAILED = (AgentEventKind.TURN_FAILED, {ScreenState.FAILED})


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("claude", Fault(status=429, times=0), LIMITED),
        ("codex", Fault(status=429, times=0), LIMITED),
        ("claude", Fault(status=401, times=0), FAILED),
        ("codex", Fault(status=401, times=0), FAILED),
        ("claude", Fault(status=529, times=0), FAILED),
        ("codex", Fault(status=529, times=0), FAILED),
        ("codex", Fault(cut=True, times=0), FAILED),
    ],
    indirect=["model"],
    ids=lambda value: value if isinstance(value, str) else str(getattr(value, "status", "")),
)
def test_a_failed_turn_is_told(
    start: Callable[[str], Started],
    stub: McpStub,
    name: str,
    expected: tuple[AgentEventKind, set[ScreenState]],
) -> None:
    agent = start(name)
    agent.give_prompt(stub)
    assert until(lambda: failure(agent) is not None, within_s=40), agent.pane.screen()
    told = failure(agent)
    assert told is not None
    assert told.kind is expected[0], told
    assert until(lambda: agent.state() in expected[1], within_s=5), (agent.state(), agent.pane.screen())


@pytest.mark.parametrize("model", [Fault(cut=True, times=0)], indirect=True, ids=["cut"])
def test_claude_takes_half_an_answer_for_the_whole(start: Callable[[str], Started], stub: McpStub) -> None:
    agent = start("claude")
    agent.give_prompt(stub)
    assert until(lambda: AgentEventKind.TURN_ENDED in agent.kinds(), within_s=40), agent.pane.screen()
    assert failure(agent) is None
