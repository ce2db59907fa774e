"""The real Claude Code and Codex, and the practice agent, started with what we build for them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.agents.launch import (
    Launch,
    build_launch,
    one_shot,
)
from agentorchestr.agents.screens import ScreenState, classify
from agentorchestr.agents.signals import AgentSignal, read_rollout, read_status_file
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.tokens import count_tokens
from agentorchestr.agents.transcripts import find_transcript
from agentorchestr.clock import until
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import Tokens
from agentorchestr.process import marked
from tests.agents.mcp_with_token import McpWithToken
from tests.agents.panes import AgentPane
from tests.agents.stage import TOKEN, Stage, begin
from tests.scripted_model.conversation import Answer, Fault
from tests.scripted_model.scenario import Part, Scenario, call, in_order, say
from tests.scripted_model.server import ScriptedModel

BOTH = pytest.mark.parametrize("agent", ["claude", "codex"])
K = AgentEventKind


@pytest.mark.real_agents
@BOTH
def test_a_real_agent_takes_our_launch_and_works_without_a_dialog(
    stage: Stage, open_pane: Callable[[Launch], AgentPane], agent: str
) -> None:
    request = stage.request(agent)
    spec, launch = request.spec, build_launch(request)
    pane = open_pane(launch)
    begin(stage, launch, pane, request.first_line)
    assert until(lambda: K.TURN_ENDED in stage.kinds(spec), within_s=30), pane.text()
    signals = stage.signals(spec)
    wanted = [K.STARTED, K.PROMPT_TAKEN, K.ACTIVE, K.ACTIVE, K.TURN_ENDED]
    assert [signal.kind for signal in signals] == wanted
    assert [signals[1].detail, signals[2].detail] == [request.first_line, spec.tool_name("get_brief")]
    assert signals[-1].detail == "All done."
    assert until(lambda: classify(spec, pane.screen()) is ScreenState.READY, within_s=10), pane.text()
    assert stage.mcp.refused == 0
    assert TOKEN not in pane.text()

    session = signals[0].agent_session
    transcript = find_transcript(spec, agent_session=session, env=launch.env)
    assert str(transcript) == signals[-1].transcript
    assert transcript is not None
    spent = stage.model.spent("w")
    total = Tokens(spent.fresh, spent.output, spent.cached, known=True)
    # Claude Code writes a turn's last line after its Stop hook.
    assert until(lambda: count_tokens(spec, transcript) == total, within_s=5), count_tokens(spec, transcript)
    if agent == "claude":
        assert session == request.agent_session
        assert until(lambda: _status(spec, pane, launch) is K.TURN_ENDED, within_s=5)
    else:
        ended = AgentSignal(K.TURN_ENDED, "All done.")
        # The rollout's last line, too, comes after the Stop hook.
        assert until(lambda: read_rollout(spec, transcript) == ended, within_s=5)
        assert not list(Path(stage.env["HOME"]).glob(".codex/packages/*")), "its daemon was started"


def _status(spec: AgentSpec, pane: AgentPane, launch: Launch) -> AgentEventKind | None:
    signal = read_status_file(spec, pane.pid, launch.env)
    return signal.kind if signal else None


@pytest.mark.real_agents
@pytest.mark.parametrize("key", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_claude_in_a_fresh_home_needs_nothing_but_a_key(
    stage: Stage, open_pane: Callable[[Launch], AgentPane], key: str
) -> None:
    (Path(stage.env["HOME"]) / ".claude.json").unlink()
    del stage.env["ANTHROPIC_AUTH_TOKEN"]
    stage.env[key] = "scripted-key-of-more-than-twenty-characters"
    request = stage.request("claude")
    launch = build_launch(request)
    pane = open_pane(launch)
    begin(stage, launch, pane, request.first_line)
    assert until(lambda: K.TURN_ENDED in stage.kinds(request.spec), within_s=30), pane.text()


@pytest.mark.real_agents
@BOTH
def test_a_real_agent_is_one_process_that_ends_with_its_pane(
    stage: Stage, open_pane: Callable[[Launch], AgentPane], agent: str
) -> None:
    launch = build_launch(stage.request(agent))
    pane = open_pane(launch)
    begin(stage, launch, pane, "Read your brief.")
    assert pane.pid in marked(stage.mark)
    pane.end()
    assert until(lambda: not marked(stage.mark), within_s=10), marked(stage.mark)


@pytest.mark.real_agents
@BOTH
def test_a_real_agent_is_resumed(stage: Stage, open_pane: Callable[[Launch], AgentPane], agent: str) -> None:
    request = stage.request(agent)
    launch = build_launch(request)
    pane = open_pane(launch)
    begin(stage, launch, pane, request.first_line)
    assert until(lambda: K.TURN_ENDED in stage.kinds(request.spec), within_s=30), pane.text()
    session = stage.signals(request.spec)[0].agent_session
    pane.end()
    assert until(lambda: not marked(stage.mark), within_s=10)
    stage.mcp.listed_by.clear()
    stage.hooks.unlink()

    again = stage.request(agent, resume=session, first_line="Go on with it.")
    second = build_launch(again)
    assert second.agent_session == session
    pane = open_pane(second)
    begin(stage, second, pane, again.first_line)
    assert until(lambda: K.TURN_ENDED in stage.kinds(again.spec), within_s=30), pane.text()
    signals = stage.signals(again.spec)
    assert {signal.agent_session for signal in signals} == {session}
    assert again.first_line in [signal.detail for signal in signals]
    heard = stage.model.records[-1].conversation
    assert heard is not None
    assert "Read your brief" in heard.heard


@pytest.mark.real_agents
@BOTH
def test_a_real_agent_runs_without_a_terminal(stage: Stage, agent: str) -> None:
    request = stage.request(agent)
    launch = one_shot(request, "Do what your brief says.")
    done = subprocess.run(
        launch.argv,
        cwd=launch.cwd,
        env=launch.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "All done." in done.stdout.decode()
    assert stage.mcp.listed_by
    assert until(lambda: not marked(stage.mark), within_s=10)


@pytest.mark.real_agents
def test_a_failed_turn_of_codex_is_told_by_its_rollout(
    stage: Stage, open_pane: Callable[[Launch], AgentPane]
) -> None:
    broken = Answer(text="", fault=Fault(status=429, times=0))
    stage.model.scenario = Scenario(parts=(Part("w", in_order(broken, broken, broken, broken, broken)),))
    request = stage.request("codex")
    launch = build_launch(request)
    pane = open_pane(launch)

    def last() -> AgentEventKind | None:
        started = stage.signals(request.spec)
        signal = read_rollout(request.spec, Path(started[0].transcript)) if started else None
        return signal.kind if signal else None

    assert until(lambda: last() is K.LIMITED, within_s=40), pane.text()
    assert K.TURN_ENDED not in stage.kinds(request.spec)
    assert classify(request.spec, pane.screen()) is ScreenState.LIMITED


@pytest.mark.real_agents
def test_a_failed_turn_of_claude_is_told_by_its_hook(
    stage: Stage, open_pane: Callable[[Launch], AgentPane]
) -> None:
    broken = Answer(text="", fault=Fault(status=400, times=0))
    stage.model.scenario = Scenario(parts=(Part("w", in_order(*[broken] * 20)),))
    request = stage.request("claude")
    launch = build_launch(request)
    pane = open_pane(launch)
    begin(stage, launch, pane, request.first_line)
    assert until(lambda: K.TURN_FAILED in stage.kinds(request.spec), within_s=40), pane.text()
    assert "scripted" in stage.signals(request.spec)[-1].detail


@pytest.mark.real_agents
def test_an_agents_own_children_know_our_command_and_our_git_settings(stage: Stage) -> None:
    command = "echo $AGENTORCHESTR_MARK; echo $PATH; git config core.excludesFile"
    stage.model.scenario = Scenario(
        parts=(Part("w", in_order(call("shell", command=command), say("All done."))),)
    )
    request = stage.request("claude")
    launch = one_shot(request, "Look around.")
    subprocess.run(
        launch.argv,
        cwd=launch.cwd,
        env=launch.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    heard = stage.model.records[-1].conversation
    assert heard is not None
    said = heard.last.text if heard.last else ""
    assert f"{stage.mark}w1" in said
    assert str(request.path_prefix) in said
    assert str(request.agent_dir / "git-excludes") in said


def test_the_practice_agent_takes_our_launch(
    *,
    private_home: dict[str, str],
    repo: Path,
    short_dir: Path,
    mcp: McpWithToken,
    catalogue: dict[str, AgentSpec],
    mark: str,
    open_pane: Callable[[Launch], AgentPane],
) -> None:
    with ScriptedModel(Scenario(parts=())) as unused:
        env = {**private_home, "PYTHONPATH": os.pathsep.join(sys.path)}
        stage = Stage(env, repo, repo, short_dir, mcp, unused, catalogue, mark)
        request = stage.request("practice")
        launch = build_launch(request)
        pane = open_pane(launch)
        begin(stage, launch, pane, request.first_line)
        assert until(lambda: K.PROMPT_TAKEN in stage.kinds(request.spec), within_s=10), pane.text()
        first = stage.signals(request.spec)[0]
        assert (first.kind, first.agent_session) == (K.STARTED, request.agent_session)
        assert request.first_line in [signal.detail for signal in stage.signals(request.spec)]
        assert pane.pid in marked(mark)
