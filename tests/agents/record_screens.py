"""Record screens of the real agents: python -m tests.agents.record_screens claude|codex [WIDTHxHEIGHT]."""

import os
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.launch import Launch, LaunchRequest, build_launch, trust_repository
from agentorchestr.agents.probe import probe_all
from agentorchestr.clock import until
from agentorchestr.process import end_marked
from tests.agents.mcp_with_token import McpWithToken
from tests.agents.panes import AgentPane
from tests.conftest import make_repo
from tests.real_agents import binaries
from tests.scripted_model.conversation import Answer, Fault
from tests.scripted_model.scenario import Part, Scenario, call, in_order, say
from tests.scripted_model.server import ScriptedModel

SCREENS = Path(__file__).parent.parent / "screens"
DRAFT = "half a thought of a person"
GATED = {
    "claude": (("--dangerously-skip-permissions",), ("--permission-mode", "default")),
    "codex": (("--dangerously-bypass-approvals-and-sandbox",), ("-a", "on-request", "-s", "read-only")),
}


@dataclass(frozen=True)
class Shot:
    """One screen to record: what the model says, and what shows that the screen is there."""

    state: str
    note: str
    answer: Answer
    seen: str
    gated: bool = False
    draft: bool = False
    trusted: bool = True


SHOTS = {
    "claude": (
        Shot("ready", "after-turn", say("All done."), "All done"),
        Shot("ready", "draft", say("All done."), "All done", draft=True),
        Shot("busy", "model", Answer(text="late", fault=Fault(delay_s=60)), r"…"),
        Shot("busy", "queued", Answer(text="late", fault=Fault(delay_s=60)), r"…"),
        Shot("asks", "permission", call("shell", command="touch new.txt"), r"1\. Yes", gated=True),
        Shot("asks", "trust", say("never"), "trust", trusted=False),
        Shot("failed", "api-error", Answer(text="", fault=Fault(status=400, times=0)), "API Error"),
        Shot("busy", "retrying", Answer(text="", fault=Fault(status=529, times=0)), "retrying in"),
    ),
    "codex": (
        Shot("ready", "after-turn", say("All done."), "All done"),
        Shot("ready", "draft", say("All done."), "All done", draft=True),
        Shot("busy", "model", Answer(text="late", fault=Fault(delay_s=60)), "esc to interrupt"),
        Shot("busy", "queued", Answer(text="late", fault=Fault(delay_s=60)), "esc to interrupt"),
        Shot("asks", "mcp", call("mcp:report_done", summary="x"), "Allow the", gated=True),
        Shot("failed", "api-error", Answer(text="", fault=Fault(status=401, times=0)), "■"),
        Shot("limited", "rate", Answer(text="", fault=Fault(status=429, times=0)), "■"),
    ),
}


def record(agent: str, shot: Shot, size: tuple[int, int]) -> Path:
    with tempfile.TemporaryDirectory(prefix="ao-") as folder:
        top = Path(folder)
        for name in ("home", "tmux"):
            (top / name).mkdir(mode=0o700)
        script = in_order(shot.answer, *([shot.answer] * 20 if shot.answer.fault else []))
        with ScriptedModel(Scenario(parts=(Part("any", script),))) as model:
            mcp = McpWithToken("", token="recorded")
            mark = f"rec-{uuid.uuid4().hex}:"
            try:
                return _record(agent, shot, size, top=top, model=model, mcp=mcp, mark=mark)
            finally:
                end_marked(mark)
                mcp.stop()


def _record(
    agent: str,
    shot: Shot,
    size: tuple[int, int],
    *,
    top: Path,
    model: ScriptedModel,
    mcp: McpWithToken,
    mark: str,
) -> Path:
    env = {"HOME": str(top / "home"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    env = binaries.at_home(env, model_url=model.url)
    repo = make_repo(top / "project", {"README.md": "a sample\n"})
    spec = load_catalogue()[agent]
    (found,) = probe_all([spec], env=env)
    if shot.trusted:
        trust_repository(spec, repo, env)
    request = LaunchRequest(
        spec=spec, binary=found.binary, worker_id="w1", lead=False, worktree=repo, repository=repo,
        agent_dir=top / "agent", mcp_url=mcp.url, token=mcp.token, brief=top / "brief.md",
        first_line="Read the brief and do what it says.", hook_argv=("/bin/true",),
        agent_session=str(uuid.uuid4()), base_env=env, path_prefix=top / "bin", mark=f"{mark}w1",
    )  # fmt: skip
    pane = AgentPane(top / "tmux" / "s", _gated(build_launch(request), agent, shot), top, size=size)
    try:
        if agent == "claude" and shot.trusted:
            assert until(lambda: bool(mcp.listed_by), within_s=20), pane.text()
            pane.say(request.first_line)
        assert until(lambda: bool(re.search(shot.seen, pane.text())), within_s=40), pane.text()
        time.sleep(1.0)  # the rest of the frame
        if shot.draft:
            pane.write(DRAFT)
        if shot.note == "queued":
            pane.say("a second message")
            assert until(lambda: bool(re.search("Queued|Messages to be", pane.text())), within_s=10), (
                pane.text()
            )
        lines = [line.replace(str(top), "/tmp/sample") for line in pane.screen(colours=True)]
    finally:
        pane.end()
    target = SCREENS / agent / f"{shot.state}--{found.version}--{size[0]}x{size[1]}--{shot.note}.txt"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines) + "\n")
    return target


def _gated(launch: Launch, agent: str, shot: Shot) -> Launch:
    if not shot.gated:
        return launch
    gone, instead = GATED[agent]
    at = launch.argv.index(gone[0])
    return replace(launch, argv=(*launch.argv[:at], *instead, *launch.argv[at + 1 :]))


def main(argv: list[str], say_it: Callable[[object], object] = print) -> None:
    agent = argv[1]
    width, _, height = (argv[2] if len(argv) > 2 else "120x40").partition("x")
    wanted = argv[3:]
    for shot in SHOTS[agent]:
        if not wanted or shot.note in wanted:
            say_it(record(agent, shot, (int(width), int(height))))


if __name__ == "__main__":
    main(sys.argv)
