"""One agent's home, repository, tools and model, and what it told by its hooks."""

import json
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.agents.launch import Launch, LaunchRequest, PromptBy, trust_repository
from agentorchestr.agents.probe import LoginState, probe_all
from agentorchestr.agents.signals import AgentSignal, read_hook
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.clock import until
from agentorchestr.model.states import AgentEventKind
from tests.agents.mcp_with_token import McpWithToken
from tests.agents.panes import AgentPane
from tests.scripted_model.server import ScriptedModel

TOKEN = "token-of-w1-that-must-not-leak"
# Leaves each payload behind; the product's own hook does the same in less time.
HOOK = "import os,sys;open(sys.argv[1],'ab').write(sys.stdin.buffer.read().strip()+b'\\n')"


@dataclass
class Stage:
    """One agent's home, repository, tools and model."""

    env: dict[str, str]
    repo: Path
    worktree: Path
    folder: Path
    mcp: McpWithToken
    model: ScriptedModel
    catalogue: dict[str, AgentSpec]
    mark: str

    def request(self, agent: str, **given: object) -> LaunchRequest:
        spec = self.catalogue[agent]
        (found,) = probe_all([spec], env=self.env)
        assert found.login is LoginState.READY, found
        trust_repository(spec, self.repo, self.env)
        fields: dict[str, object] = {
            "spec": spec,
            "binary": found.binary,
            "worker_id": "w1",
            "lead": False,
            "worktree": self.worktree,
            "repository": self.repo,
            "agent_dir": self.folder / "agent's folder",
            "mcp_url": self.mcp.url,
            "token": TOKEN,
            "brief": self.folder / "brief.md",
            "first_line": "Read your brief and do what it says.",
            "hook_argv": (sys.executable, "-I", "-S", "-c", HOOK, str(self.hooks)),
            "agent_session": str(uuid.uuid4()),
            "base_env": self.env,
            "path_prefix": self.folder / "bin",
            "mark": f"{self.mark}w1",
        }
        return LaunchRequest(**{**fields, **given})  # type: ignore[arg-type]

    @property
    def hooks(self) -> Path:
        return self.folder / 'hooks "of" it.jsonl'

    def signals(self, spec: AgentSpec) -> list[AgentSignal]:
        lines = self.hooks.read_text().splitlines() if self.hooks.exists() else []
        return [signal for line in lines if (signal := read_hook(spec, json.loads(line)))]

    def kinds(self, spec: AgentSpec) -> list[AgentEventKind]:
        return [signal.kind for signal in self.signals(spec)]


def begin(stage: Stage, launch: Launch, pane: AgentPane, prompt: str) -> None:
    """Give the first prompt the way the spec says; the tools were asked for with our token before."""
    assert until(lambda: bool(stage.mcp.listed_by), within_s=30), pane.text()
    assert set(stage.mcp.listed_by) == {f"Bearer {TOKEN}"}
    if launch.prompt_by is PromptBy.TYPED:
        pane.say(prompt)
