"""Both agents, in a pane, take their first prompt and do a small job without a dialog."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agentorchestr.clock import until
from tests.real_agents.mcp_stub import McpStub
from tests.real_agents.pane import Pane
from tests.scripted_model.server import ScriptedModel

pytestmark = pytest.mark.real_agents

PROMPT = "You are a worker of agentorchestr: get your brief"


@pytest.fixture
def open_pane(tmux_socket: Path, agent_env: dict[str, str], project: Path) -> Callable[[Sequence[str]], Pane]:
    return lambda words: Pane(tmux_socket, words, project, agent_env)


def assert_job_done(pane: Pane, stub: McpStub, model: ScriptedModel, project: Path) -> None:
    done = until(lambda: stub.done == ["written"] and "All done." in pane.screen(), within_s=30)
    assert done, pane.screen() + "\n".join(record.line() for record in model.records)
    assert (project / "greeting.txt").read_text() == "hello\n"
    assert not model.of("nobody")


def test_claude_in_a_pane(
    open_pane: Callable[[Sequence[str]], Pane],
    agent_env: dict[str, str],
    model: ScriptedModel,
    stub: McpStub,
    project: Path,
) -> None:
    person = Path(agent_env["HOME"]) / ".claude.json"
    known = json.loads(person.read_text())
    person.write_text(json.dumps(known | {"projects": {str(project): {"hasTrustDialogAccepted": True}}}))
    config = {"mcpServers": {"agentorchestr": {"type": "http", "url": stub.url, "alwaysLoad": True}}}
    pane = open_pane(
        [
            *("claude", "--dangerously-skip-permissions", "--strict-mcp-config"),
            *("--mcp-config", json.dumps(config)),
            *("--settings", json.dumps({"skipDangerousModePermissionPrompt": True})),
        ]
    )
    assert until(lambda: stub.lists > 0, within_s=20), pane.screen()
    pane.type_line(PROMPT)
    assert_job_done(pane, stub, model, project)


def test_codex_in_a_pane(
    open_pane: Callable[[Sequence[str]], Pane], model: ScriptedModel, stub: McpStub, project: Path
) -> None:
    server = f"mcp_servers.agentorchestr={{url={json.dumps(stub.url)},required=true}}"
    pane = open_pane(
        [
            *("codex", "--no-daemon", "--dangerously-bypass-approvals-and-sandbox"),
            *("-c", f'projects={{{json.dumps(str(project))}={{trust_level="trusted"}}}}'),
            *("-c", server, PROMPT),
        ]
    )
    assert_job_done(pane, stub, model, project)
