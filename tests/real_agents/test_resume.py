"""Real agents killed in the middle of a turn go on in their own conversation, with all that was said before."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.errors import JournalError
from agentorchestr.model.view import SessionView
from agentorchestr.process import end_marked
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.reading import list_sessions
from tests.conftest import git
from tests.real_agents.whole_goal import BRIEF_LINE, read_brief
from tests.real_agents.world import World, told
from tests.scripted_model.conversation import Conversation
from tests.scripted_model.scenario import Part, Rule, Scenario, by_rules, call, say

pytestmark = [pytest.mark.real_agents, pytest.mark.slow]

LIMIT_S = 90
SAID = "the word of the first turn is marmalade"
TASK = "TASK-KEEP: write two files."
FIRST = f"echo one > first.txt; echo {SAID}"
SECOND = "echo two > second.txt; git add -A && git commit -q -m both && echo both are committed"


def knows(conversation: Conversation) -> bool:
    """Whether what was said before the crash is in this request."""
    return any(SAID in result.text for result in conversation.of("shell"))


def worker(began: Path) -> Scenario:
    """Write a file, hear a word, begin something long; when asked again: go on if the word is known."""
    hang = f"touch {began}; sleep 600"

    script = by_rules(
        Rule(call("shell", command=SECOND), message=BRIEF_LINE, when=knows),
        Rule(read_brief, message=BRIEF_LINE),
        Rule(call("mcp:report_done", summary="both are there"), after="shell", result="both are committed"),
        Rule(call("shell", command=hang), after="shell", when=knows),
        Rule(call("shell", command=FIRST), after="shell"),
        Rule(say("Reported."), after="mcp:report_done"),
        otherwise=say("I do not know how to go on."),
    )
    newcomer = by_rules(Rule(read_brief, message=BRIEF_LINE))
    return Scenario(parts=(Part("worker", script, heard="TASK-KEEP"), Part("newcomer", newcomer)))


def only_view(world: World) -> SessionView | None:
    try:
        views = list_sessions(world.paths)
    except JournalError:
        return None
    return views[0] if views else None


def kill_everything(world: World, view: SessionView) -> None:
    """What a power cut leaves: files."""
    (pid,) = TmuxServer(world.paths.tmux_socket).run("display-message", "-p", "#{pid}")
    for victim in (int(pid), view.supervisor_pid, *(worker.pid for worker in view.workers.values())):
        os.kill(victim, signal.SIGKILL)
    assert until(lambda: not end_marked(view.session_id, grace_s=0.1), within_s=10)
    shutil.rmtree(world.paths.run)


@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_killed_in_mid_turn_it_goes_on_by_its_own_id(world: World, tmp_path: Path, agent: str) -> None:
    began = tmp_path / "began"
    world.model.scenario = worker(began)
    words = ("--manual", "--task", TASK, "--agent", agent, "--checks", "test -f second.txt", "--trust")
    command = subprocess.Popen(
        [sys.executable, "-m", "agentorchestr", *words, "--no-attach"],
        cwd=world.project, env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert until(began.exists, within_s=LIMIT_S), told(world.model)
    command.kill()
    command.wait()
    before = only_view(world)
    assert before is not None
    kill_everything(world, before)
    asked = len(world.model.records)
    done = world.ours("--resume", "--no-attach", limit_s=LIMIT_S)
    story = f"{done.stdout}{done.stderr}\n{told(world.model)}"
    assert done.returncode == 0, story
    after = only_view(world)
    assert after is not None
    assert after.workers["w1"].resume == before.workers["w1"].agent_session, "by its own id"
    assert after.workers["w1"].agent_session == before.workers["w1"].agent_session
    first = next(r for r in world.model.records[asked:] if r.part == "worker" and r.conversation)
    assert knows(first.conversation), story
    heard = re.findall(BRIEF_LINE, "\n".join(first.conversation.messages))
    assert len(heard) == 2, "what it was asked first, and to go on"
    shown = git(world.project, "ls-tree", "-r", "--name-only", after.integration_branch).split()
    assert {"first.txt", "second.txt"} <= set(shown), story
