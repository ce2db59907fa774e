"""Real agents, led by one another, carry a goal to a verified merge on the scripted model."""

import json
import re
import subprocess

import pytest

from agentorchestr.clock import until
from agentorchestr.process import marked
from tests.conftest import git
from tests.real_agents import binaries
from tests.real_agents.onlooker import Onlooker
from tests.real_agents.whole_goal import BRIEF_LINE, CHECKS, GOAL, TASKS, lead_events, scenario
from tests.real_agents.world import World, told

pytestmark = [pytest.mark.real_agents, pytest.mark.slow]

LIMIT_S = 120
DIALOGS = re.compile(
    r"Do you trust|Accessing workspace|trust this folder|Folder access|Bypass Permissions mode"
    r"|Do you want to proceed|Would you like to|Allow the .* MCP server|Enter to (?:confirm|select)"
    r"|Select login method|Sign in with|custom API key|Try new model"
)
DOORBELL = re.compile(
    r"Call \S*(?:wait_for_any|get_brief) to |^You stopped without|^No worker is at work|^Your last turn failed"
)


@pytest.mark.parametrize(
    ("lead", "worker", "how", "codex_model"),
    [
        ("claude", "codex", "is_woken", binaries.CODEX_MODEL),
        ("claude", "codex", "is_woken", binaries.CODEX_CODE_MODEL),
        ("codex", "claude", "is_woken", binaries.CODEX_MODEL),
        ("codex", "claude", "waits", binaries.CODEX_CODE_MODEL),
    ],
)
def test_a_goal_comes_to_a_verified_merge(
    world: World, lead: str, worker: str, how: str, codex_model: str
) -> None:
    binaries.choose_codex_model(world.env, codex_model)
    world.model.scenario = scenario(worker_agent=worker, lead_sleeps=how == "is_woken")
    tip, dirty = git(world.project, "rev-parse", "main"), git(world.project, "status", "--porcelain")
    with Onlooker(world.paths.tmux_socket) as onlooker:
        done = world.ours(
            *("--goal", GOAL, "--agents", "claude", "codex", "--lead", lead),
            *("--checks", CHECKS, "--timeout", f"{LIMIT_S - 30}s", "--no-attach", "--trust"),
            limit_s=LIMIT_S,
        )
    story = f"{done.stdout}{done.stderr}\n{told(world.model)}\n{onlooker.last()}"
    assert done.returncode == 0, story
    assert_merged(world, story)
    assert git(world.project, "rev-parse", "main") == tip
    assert git(world.project, "status", "--porcelain") == dirty
    assert (world.project / "README.md").read_text() == "a calculator, and my unsaved words\n"
    assert_nobody_was_asked(world, onlooker)
    assert_parts_were_played(world, lead, worker)
    assert_tokens_agree(world)
    assert_nothing_is_left(world)


def session_id(world: World) -> str:
    """The id of the only session there is."""
    listed = world.ours("--list-sessions", "--json")
    (session,) = json.loads(listed.stdout)["data"]
    return str(session["id"])


def assert_merged(world: World, story: str) -> None:
    """The integration branch holds all three works, and its checks pass in a clean clone."""
    branch = f"agentorchestr/{session_id(world)}/integration"
    clone = world.project.parent / "clone"
    git(world.project.parent, "clone", "-q", "-b", branch, str(world.project), str(clone))
    checks = subprocess.run(CHECKS.split(), check=False, cwd=clone, capture_output=True, timeout=60)
    assert checks.returncode == 0, checks.stderr.decode()
    present = {path.name for path in clone.iterdir()}
    assert {"add.py", "power.py", "test_add.py", "test_power.py"} <= present, story
    assert (clone / "registry.py").read_text() == "NAMES = ['add', 'power']\n"
    assert "a * b" not in (clone / "power.py").read_text()
    assert "private.txt" not in present


def assert_nobody_was_asked(world: World, onlooker: Onlooker) -> None:
    """No pane ever showed a dialog, and what the agents heard is only what we meant to say."""
    shown = [screen for seen in onlooker.screens.values() for screen in seen if DIALOGS.search(screen)]
    assert not shown, shown[0]
    heard = {
        m for r in world.model.records if r.conversation and r.part != "side" for m in r.conversation.messages
    }
    strange = [text for text in heard if not re.search(BRIEF_LINE, text) and not DOORBELL.search(text)]
    assert not strange, strange


def assert_parts_were_played(world: World, lead: str, worker: str) -> None:
    """Each part by the right program; the two bad changes were refused and told to their workers."""
    programs = {"claude": "claude-cli", "codex": "codex"}
    assert {r.client[: len(programs[lead])] for r in world.model.of("lead")} == {programs[lead]}
    for task in TASKS:
        clients = {r.client for r in world.model.of(task.lower())}
        assert {client[: len(programs[worker])] for client in clients} == {programs[worker]}, task
    final = world.model.of("lead")[-1].conversation
    assert final is not None
    assert GOAL in final.of("shell")[0].text
    # A merge may be told twice: in reply to the order, and as an event among others.
    merges = {event["merge_id"]: event["result"] for event in lead_events(final) if event["kind"] == "merge"}
    assert sorted(map(str, merges.values())) == ["conflict", "merged", "merged", "merged", "red"]
    assert not world.model.of("nobody")


def assert_tokens_agree(world: World) -> None:
    """The session's totals are what the model said its answers to the team cost."""
    team = json.loads(world.ours("status", "--json").stdout)["data"]["team"]
    parts = {record.part for record in world.model.records} - {"side", ""}
    spent = [world.model.spent(part) for part in parts]
    for kind, expected in (
        ("input", sum(usage.fresh for usage in spent)),
        ("cached", sum(usage.cached for usage in spent)),
        ("output", sum(usage.output for usage in spent)),
    ):
        assert sum(worker["tokens"][kind] for worker in team) == expected, kind


def assert_nothing_is_left(world: World) -> None:
    """All processes are gone at once, the kept tmux session by ``stop``; no worktree stays."""
    session = session_id(world)
    assert until(lambda: not marked(f"{session}:"), within_s=5), world.living()
    assert git(world.project, "worktree", "list", "--porcelain").count("worktree ") == 1
    stopped = world.ours("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert until(lambda: not world.living(), within_s=5), world.living()
