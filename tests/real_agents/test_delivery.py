"""A doorbell in the composer of a real agent: taken whole, and never into a person's draft."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from agentorchestr.agents.signals import AgentSignal
from agentorchestr.clock import SYSTEM_CLOCK, until
from agentorchestr.errors import TmuxError
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import WorkerView
from agentorchestr.supervisor.composer import Clear, Composer, Held
from agentorchestr.supervisor.queueing import put_in_queue
from agentorchestr.tmux.server import TmuxServer
from tests.real_agents.mcp_stub import McpStub
from tests.real_agents.started import Started
from tests.scripted_model.server import ScriptedModel

pytestmark = pytest.mark.real_agents
LINE = "A new message from w2 waits. Call {tool} to read it and act on it."
TIMES = 3


def composer_of(agent: Started, socket: Path) -> Composer:
    gear: Any = type(
        "Gear", (), {"tmux": TmuxServer(socket), "clock": SYSTEM_CLOCK, "environment": agent.launch.env}
    )()
    worker = cast("WorkerView", type("Worker", (), {"pane_id": "%0", "pid": agent.pane.pid()})())
    return Composer(gear, worker, agent.spec)


def ended(agent: Started) -> list[AgentSignal]:
    return [signal for signal in agent.signals() if signal.kind is AgentEventKind.TURN_ENDED]


def given(agent: Started, composer: Composer, line: str) -> Held | None:
    """Give *line* as the product does: again while something holds it."""
    outcome: list[Held | None] = [Held("not tried")]

    def tried() -> bool:
        clear = composer.may_type(line)
        try:
            outcome[0] = composer.give(line, clear) if isinstance(clear, Clear) else clear
        except TmuxError as exc:
            outcome[0] = Held(str(exc))  # its screen was still settling
        return outcome[0] is None

    until(tried, within_s=20, every_s=0.3)
    return outcome[0]


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_doorbell_is_one_whole_prompt_each_time(
    start: Callable[[str], Started], stub: McpStub, model: ScriptedModel, tmux_socket: Path, name: str
) -> None:
    agent = start(name)
    agent.give_prompt(stub)
    assert until(lambda: len(ended(agent)) == 1, within_s=30), agent.pane.screen()
    composer = composer_of(agent, tmux_socket)
    line = LINE.format(tool=agent.spec.tool_name("get_brief"))
    for times in range(1, TIMES + 1):
        assert given(agent, composer, line) is None, agent.pane.screen()
        assert until(lambda: len(ended(agent)) == times + 1, within_s=30), agent.pane.screen()  # noqa: B023 - used in this round
        heard = model.of("worker")[-1].conversation
        assert heard is not None
        assert heard.messages[-1] == line
        assert heard.messages.count(line) == times


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_draft_in_a_real_composer_holds_the_doorbell(
    start: Callable[[str], Started], stub: McpStub, tmux_socket: Path, name: str
) -> None:
    agent = start(name)
    agent.give_prompt(stub)
    assert until(lambda: len(ended(agent)) == 1, within_s=30), agent.pane.screen()
    composer = composer_of(agent, tmux_socket)
    assert until(lambda: isinstance(composer.may_type(LINE), Clear), within_s=10), agent.pane.screen()
    clear = composer.may_type(LINE)
    assert isinstance(clear, Clear)
    agent.pane._ask("send-keys", "-l", "half a thou")
    assert until(lambda: agent.draft() == "half a thou", within_s=10), agent.pane.screen()
    with pytest.raises(TmuxError, match="somebody typed"):
        composer.give(LINE, clear)
    assert composer.may_type(LINE) == Held("a draft stands in its composer", by_person=True)
    assert agent.draft() == "half a thou"


def test_codex_takes_a_doorbell_from_its_queue_beside_a_draft(
    start: Callable[[str], Started], stub: McpStub, model: ScriptedModel
) -> None:
    agent = start("codex")
    agent.give_prompt(stub)
    assert until(lambda: len(ended(agent)) == 1, within_s=30), agent.pane.screen()
    agent.pane._ask("send-keys", "-l", "half a thou")
    assert until(lambda: agent.draft() == "half a thou", within_s=10), agent.pane.screen()
    gear: Any = type(
        "Gear", (), {"binaries": {"codex": Path(agent.launch.argv[0])}, "environment": agent.launch.env}
    )()
    session = ended(agent)[0].agent_session
    worker = cast("WorkerView", type("Worker", (), {"agent_session": session})())
    line = LINE.format(tool=agent.spec.tool_name("get_brief"))
    assert put_in_queue(gear, worker, agent.spec, line) is None
    assert until(lambda: len(ended(agent)) == 2, within_s=60), agent.pane.screen()
    heard = model.of("worker")[-1].conversation
    assert heard is not None
    assert heard.messages[-1] == line
    assert agent.draft() == "half a thou"
