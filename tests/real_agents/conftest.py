"""The real agents of the machine, a scripted model, and a home for both."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real_agents import binaries
from tests.real_agents.mcp_stub import McpStub
from tests.scripted_model.scenario import Part, Rule, Scenario, by_rules, call, say
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
