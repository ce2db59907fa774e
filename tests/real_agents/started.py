"""An agent that was started as the product starts it, and what it tells."""

import json
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.agents.launch import Launch, PromptBy
from agentorchestr.agents.screens import ScreenState, classify, composer_text
from agentorchestr.agents.signals import AgentSignal, read_hook
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.clock import until
from agentorchestr.model.states import AgentEventKind
from tests.real_agents.mcp_stub import McpStub
from tests.real_agents.pane import Pane

PROMPT = 'Read the file "/nowhere/brief.md" completely and do what agentorchestr says.'
HOOK = "import sys, time; open(f'{sys.argv[1]}/{time.time_ns()}.json', 'w').write(sys.stdin.read())"


@dataclass
class Started:
    """One agent in a pane; its hooks write their payloads into ``spool``."""

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

    def give_prompt(self, stub: McpStub) -> None:
        """Type the first prompt, when this agent does not have it from its command line."""
        assert until(lambda: stub.lists > 0, within_s=20), self.pane.screen()
        if self.launch.prompt_by is PromptBy.TYPED:
            assert until(lambda: self.state() is ScreenState.READY, within_s=10), self.pane.screen()
            assert until(lambda: self.draft() == "", within_s=5), self.pane.screen()
            self.pane.type_line(PROMPT)

    def draft(self) -> str | None:
        return composer_text(self.spec, self.pane.coloured_lines())
