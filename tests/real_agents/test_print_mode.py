"""Both agents, without a terminal, do a small job on the scripted model."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.real_agents.mcp_stub import McpStub
from tests.scripted_model.conversation import Usage
from tests.scripted_model.server import ScriptedModel

pytestmark = pytest.mark.real_agents

PROMPT = "You are a worker of agentorchestr: get your brief"


def claude_words(stub: McpStub) -> list[str]:
    config = {"mcpServers": {"agentorchestr": {"type": "http", "url": stub.url, "alwaysLoad": True}}}
    return [
        *("claude", "-p", "--output-format", "json", "--dangerously-skip-permissions"),
        *("--strict-mcp-config", "--mcp-config", json.dumps(config), "--", PROMPT),
    ]


def codex_words(stub: McpStub, model: str) -> list[str]:
    server = f'mcp_servers.agentorchestr={{url="{stub.url}",required=true}}'
    return [
        *("codex", "exec", "--json", "--dangerously-bypass-approvals-and-sandbox"),
        *("-m", model, "-c", server, PROMPT),
    ]


def run(words: Sequence[str], cwd: Path, env: dict[str, str]) -> list[dict[str, object]]:
    done = subprocess.run(
        words, check=False, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=90
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith("{")]


def assert_job_done(project: Path, stub: McpStub, model: ScriptedModel) -> None:
    said = [record.line() for record in model.records]
    assert (project / "greeting.txt").read_text() == "hello\n", said
    assert stub.done == ["written"], said
    assert len(model.of("worker")) == 5, said
    assert not model.of("nobody")


def test_claude_does_a_job_and_counts_its_tokens(
    agent_env: dict[str, str], model: ScriptedModel, stub: McpStub, project: Path
) -> None:
    (result,) = run(claude_words(stub), project, agent_env)
    assert_job_done(project, stub, model)
    assert result["result"] == "All done."
    usage = result["usage"]
    assert isinstance(usage, dict)
    told = Usage(usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"])
    assert told == model.spent("worker") == Usage(5 * 300, 5 * 3000, 5 * 30)


@pytest.mark.parametrize(
    "codex_model",
    [
        pytest.param("gpt-5.4", id="classic_tools"),
        pytest.param("gpt-5.5", id="deferred_tools_and_apply_patch"),
        pytest.param("gpt-6.1-sol", id="code_mode"),
    ],
)
def test_codex_does_a_job_and_counts_its_tokens(
    agent_env: dict[str, str], model: ScriptedModel, stub: McpStub, project: Path, codex_model: str
) -> None:
    lines = run(codex_words(stub, codex_model), project, agent_env)
    assert_job_done(project, stub, model)
    usage = next(line["usage"] for line in lines if line["type"] == "turn.completed")
    assert isinstance(usage, dict)
    told = Usage(
        usage["input_tokens"] - usage["cached_input_tokens"],
        usage["cached_input_tokens"],
        usage["output_tokens"],
    )
    assert told == model.spent("worker")
