"""The lead's policy against scripted answers of the core."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.practice.harness import LEAD_TOOLS, Endpoint, Setup

Serve = Callable[..., Endpoint]
TWO_TASKS = """
    [[lead]]
    match = "the goal"
    idle_limit_s = 0.5
    tasks = [{ save = "a", task = "do a" }, { save = "b", task = "do b", allow_test_changes = true }]
"""


class Core:
    """Scripted answers: events are handed out one batch per wait."""

    def __init__(self, *batches: list[dict[str, Any]], merges: dict[str, list[str]] | None = None) -> None:
        self.batches = list(batches)
        self.merges = merges or {}
        self.spawned = 0
        self.running = ["w1"]

    def answers(self) -> dict[str, Any]:
        return {
            "spawn_worker": self._spawn,
            "wait_for_any": lambda _: {
                "events": self.batches.pop(0) if self.batches else [],
                "running": self.running,
            },
            "merge_worker": lambda args: {"result": self.merges.get(args["worker_id"], ["merged"]).pop(0)},
            "verify": {"verdict_id": "v1", "outcome": "green"},
        }

    def _spawn(self, _: dict[str, Any]) -> dict[str, Any]:
        self.spawned += 1
        return {"worker_id": f"w{self.spawned}"}


def done(worker_id: str) -> dict[str, Any]:
    return {"kind": "done", "worker_id": worker_id, "text": "all of it"}


def tools_called(endpoint: Endpoint) -> list[str]:
    return [tool for tool, _ in endpoint.calls]


def test_all_tasks_are_spawned_merged_and_verified(setup: Setup, serve: Serve) -> None:
    setup.scenario(TWO_TASKS)
    core = Core([done("w2")], [], [done("w1")], merges={"w1": ["merged"], "w2": ["merged"]})
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    assert setup.one_shot("the goal", endpoint=endpoint).returncode == 0
    assert [call["task"] for call in endpoint.called("spawn_worker")] == ["do a", "do b"]
    assert endpoint.called("merge_worker") == [
        {"worker_id": "w2", "allow_test_changes": True},
        {"worker_id": "w1"},
    ]
    assert tools_called(endpoint)[-2:] == ["verify", "mark_goal_done"]


def test_the_goal_is_read_from_the_brief_and_becomes_the_one_task(setup: Setup, serve: Serve) -> None:
    brief = setup.folder / "brief of $(lead).md"
    goal = "fix `it`\n# not a heading; $(touch x)"
    brief.write_text(
        f"You lead.\n\n## The goal, exactly as the person gave it\n\n```text\n{goal}\n```\n\n## When\n\nx\n"
    )
    endpoint = serve(LEAD_TOOLS, answers=Core([done("w1")]).answers())
    assert setup.one_shot(f'Read the file "{brief}" and do it.', endpoint=endpoint).returncode == 0
    assert [call["task"] for call in endpoint.called("spawn_worker")] == [goal]
    assert tools_called(endpoint)[-1] == "mark_goal_done"


def test_a_conflict_and_a_red_check_wait_for_the_next_report(setup: Setup, serve: Serve) -> None:
    setup.scenario(TWO_TASKS)
    core = Core(
        [done("w1"), done("w2")],
        [{"kind": "merge", "worker_id": "w2", "result": "conflict"}],
        [done("w1")],
        [done("w2")],
        merges={"w1": ["red", "merged"], "w2": ["running", "merged"]},
    )
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    assert setup.one_shot("the goal", endpoint=endpoint).returncode == 0
    assert [call["worker_id"] for call in endpoint.called("merge_worker")] == ["w1", "w2", "w1", "w2"]
    assert endpoint.called("mark_goal_done")


def test_a_merge_that_never_works_ends_as_failed(setup: Setup, serve: Serve) -> None:
    core = Core(*([done("w1")] for _ in range(20)), merges={"w1": ["red"] * 20})
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    setup.one_shot("do it", endpoint=endpoint)
    assert len(endpoint.called("merge_worker")) == 5
    assert "not merged after 5 attempts" in endpoint.called("mark_goal_failed")[0]["reason"]


def test_a_merge_error_and_a_refusal_end(setup: Setup, serve: Serve) -> None:
    setup.scenario(TWO_TASKS)
    core = Core([done("w1"), done("w2")], merges={"w1": ["error"] * 9, "w2": ["refused"]})
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    setup.one_shot("the goal", endpoint=endpoint)
    reason = endpoint.called("mark_goal_failed")[0]["reason"]
    assert "a: not merged after 5 attempts" in reason
    assert "b: the merge was refused" in reason


def test_a_dead_worker_is_replaced_once(setup: Setup, serve: Serve) -> None:
    dead = [{"kind": "dead", "worker_id": "w1"}], [{"kind": "dead", "worker_id": "w2"}]
    endpoint = serve(LEAD_TOOLS, answers=Core(*dead).answers())
    setup.one_shot("do it", endpoint=endpoint)
    assert len(endpoint.called("spawn_worker")) == 2
    assert "w2: dead" in endpoint.called("mark_goal_failed")[0]["reason"]


def test_a_refused_spawn_waits_for_a_place(setup: Setup, serve: Serve) -> None:
    setup.scenario(TWO_TASKS)
    core = Core([done("w1")], [done("w2")], merges={"w1": ["merged"], "w2": ["merged"]})
    answers = core.answers()
    places = [{"worker_id": "w1"}, ValueError("1 worker is at work, the most"), {"worker_id": "w2"}]
    endpoint = serve(LEAD_TOOLS, answers={**answers, "spawn_worker": lambda _: places.pop(0)})
    setup.one_shot("the goal", endpoint=endpoint)
    assert endpoint.called("mark_goal_done")


def test_spawns_that_are_always_refused_end_as_failed(setup: Setup, serve: Serve) -> None:
    endpoint = serve(LEAD_TOOLS, answers={"spawn_worker": ValueError("no agent")})
    setup.one_shot("do it", endpoint=endpoint)
    assert len(endpoint.called("spawn_worker")) == 2
    assert "no agent" in endpoint.called("mark_goal_failed")[0]["reason"]


def test_an_idle_worker_is_asked_to_report_and_given_up_in_the_end(setup: Setup, serve: Serve) -> None:
    core = Core(*([{"kind": "idle", "worker_id": "w1"}] for _ in range(9)))
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    setup.one_shot("do it", endpoint=endpoint)
    assert len(endpoint.called("send_to_worker")) == 3
    assert "never reported" in endpoint.called("mark_goal_failed")[0]["reason"]


def test_a_session_in_which_nothing_runs_is_given_up(setup: Setup, serve: Serve) -> None:
    setup.scenario(TWO_TASKS)
    answers = Core().answers()
    endpoint = serve(LEAD_TOOLS, answers={**answers, "wait_for_any": ValueError("nothing runs")})
    setup.one_shot("the goal", endpoint=endpoint)
    assert "runs no more" in endpoint.called("mark_goal_failed")[0]["reason"]


def test_a_goal_without_checks_is_marked_with_the_reason(setup: Setup, serve: Serve) -> None:
    answers = {**Core([done("w1")]).answers(), "verify": {"outcome": "no_checks"}}
    endpoint = serve(LEAD_TOOLS, answers=answers)
    setup.one_shot("do it", endpoint=endpoint)
    assert endpoint.called("mark_goal_done")[0]["unverified_reason"] == "the project has no checks"


def test_a_verdict_may_come_as_an_event_and_red_is_a_failure(setup: Setup, serve: Serve) -> None:
    core = Core([done("w1")], [], [{"kind": "verify", "outcome": "red"}])
    endpoint = serve(LEAD_TOOLS, answers={**core.answers(), "verify": {"outcome": "running"}})
    setup.one_shot("do it", endpoint=endpoint)
    assert "red" in endpoint.called("mark_goal_failed")[0]["reason"]
    assert not endpoint.called("mark_goal_done")


def test_a_reviewer_is_not_merged(setup: Setup, serve: Serve) -> None:
    setup.scenario('[[lead]]\nmatch = "goal"\ntasks = [{ task = "look", role = "reviewer" }]')
    endpoint = serve(LEAD_TOOLS, answers=Core([done("w1")]).answers())
    setup.one_shot("the goal", endpoint=endpoint)
    assert not endpoint.called("merge_worker")
    assert endpoint.called("mark_goal_done")


def test_a_woken_lead_ends_its_turn_and_goes_on_with_the_next_line(setup: Setup, serve: Serve) -> None:
    setup.scenario('[[lead]]\nmatch = "goal"\nstyle = "woken"\ntasks = [{ save = "a", task = "do a" }]')
    core = Core()
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    first = setup.one_shot("the goal", "--session", "s1", endpoint=endpoint)
    assert first.returncode == 0
    assert "I end my turn" in first.stdout
    core.batches.append([done("w1")])
    endpoint.answers["list_workers"] = {"workers": [{"worker_id": "w1", "task": "do a", "state": "working"}]}
    setup.one_shot("w1 is done: call wait_for_any", "--resume", "s1", endpoint=endpoint)
    assert len(endpoint.called("spawn_worker")) == 1
    assert endpoint.called("mark_goal_done")


def test_a_resumed_lead_adopts_its_workers_instead_of_spawning_again(setup: Setup, serve: Serve) -> None:
    setup.scenario("""
        [[lead]]
        match = "goal"
        tasks = [{ save = "b", task = "do b" }, { save = "c", task = "do c" }]
        turns = [[
          { do = "spawn", task = "do a", save = "a" },
          { do = "die", kill = true },
          { do = "run_tasks" },
        ]]
    """)
    core = Core([done("w9")], [done("w2")])
    core.merges = {"w1": ["merged"], "w2": ["merged"], "w9": ["merged"]}
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    assert setup.one_shot("the goal", "--session", "s1", endpoint=endpoint).returncode == -9
    # w9 was spawned by us as well, and the crash came before we could note it.
    rows = [
        {"worker_id": "w1", "task": "do a", "state": "done", "merged": False},
        {"worker_id": "w9", "task": "do b", "state": "working"},
    ]
    endpoint.answers["list_workers"] = {"workers": rows}
    done_again = setup.one_shot("Go on.", "--resume", "s1", endpoint=endpoint)
    assert [call["task"] for call in endpoint.called("spawn_worker")] == ["do a", "do c"], done_again.stdout
    assert {call["worker_id"] for call in endpoint.called("merge_worker")} == {"w1", "w2", "w9"}
    assert endpoint.called("mark_goal_done"), done_again.stdout


def test_a_lead_that_goes_on_for_another_adopts_its_workers(
    setup: Setup, serve: Serve, tmp_path: Path
) -> None:
    setup.scenario(TWO_TASKS)
    core = Core([done("w2")], merges={"w1": ["merged"], "w2": ["merged"]})
    endpoint = serve(LEAD_TOOLS, answers=core.answers())
    rows = [
        {"worker_id": "w1", "task": "do a", "state": "done", "merged": False},
        {"worker_id": "w2", "task": "do b", "state": "working"},
    ]
    endpoint.answers["list_workers"] = {"workers": rows}
    brief = tmp_path / "lead.md"
    brief.write_text("# The goal\n\nthe goal\n\n## Somebody began this before you\n\nAn agent ended.\n")
    assert setup.one_shot(f'Read the file "{brief}".', endpoint=endpoint).returncode == 0
    assert endpoint.called("spawn_worker") == []
    assert [call["worker_id"] for call in endpoint.called("merge_worker")] == ["w1", "w2"]


def test_steps_of_a_lead_use_saved_names(setup: Setup, serve: Serve) -> None:
    setup.scenario("""
        [[lead]]
        match = "goal"
        turns = [[
          { do = "spawn", task = "do a", save = "first" },
          { do = "call", tool = "send_to_worker", args = { worker_id = "{first}", message = "hello" } },
          { do = "wait_any" },
          { do = "verify" },
          { do = "finish", summary = "by {first}" },
        ]]
    """)
    endpoint = serve(LEAD_TOOLS, answers=Core([done("w1")]).answers())
    assert setup.one_shot("the goal", endpoint=endpoint).returncode == 0
    assert endpoint.called("send_to_worker") == [{"worker_id": "w1", "message": "hello"}]
    assert endpoint.called("mark_goal_done") == [{"summary": "by w1"}]


def test_a_lead_can_be_made_to_fail(setup: Setup, serve: Serve) -> None:
    setup.scenario(
        '[[lead]]\nmatch = "goal"\nturns = [[{ do = "finish", failed = true, reason = "no way" }]]'
    )
    endpoint = serve(LEAD_TOOLS)
    setup.one_shot("the goal", endpoint=endpoint)
    assert endpoint.called("mark_goal_failed") == [{"reason": "no way"}]
