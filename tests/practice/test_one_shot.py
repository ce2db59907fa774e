"""One turn without a terminal: MCP, hooks, git, the transcript."""

import json
import subprocess
import threading
from collections.abc import Callable

import pytest

from agentorchestr.practice.mcp_client import Interrupted, McpClient, McpError, ToolFailed
from tests.conftest import git
from tests.practice.harness import TOKEN, WORKER_TOOLS, Endpoint, Setup, log_of

BRIEF = {
    "worker_id": "w1",
    "role": "implementer",
    "task": "Add a poem",
    "branch": "agentorchestr/s1/w1",
    "messages": [],
}
Serve = Callable[..., Endpoint]


@pytest.mark.parametrize("answered_by", ["json", "event-stream"])
def test_a_worker_without_a_scenario_commits_a_note_and_reports_done(
    setup: Setup, serve: Serve, answered_by: str
) -> None:
    sse = answered_by == "event-stream"
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF}, sse=sse, session_header="s-9")
    done = setup.one_shot("Call get_brief.", endpoint=endpoint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert endpoint.methods[:3] == ["initialize", "notifications/initialized", "tools/list"]
    assert endpoint.headers[2]["mcp-session-id"] == "s-9"
    assert endpoint.headers[2]["mcp-protocol-version"] == "2025-06-18"
    assert endpoint.called("report_done") == [{"summary": "wrote notes/add-a-poem-w1.md"}]
    assert "Add a poem" in (setup.cwd / "notes" / "add-a-poem-w1.md").read_text()
    assert log_of(setup.cwd)[0] == "note: notes/add-a-poem-w1.md"


def test_hooks_come_in_order_with_the_fields_of_the_real_ones(setup: Setup, serve: Serve) -> None:
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    setup.one_shot("Call get_brief.", "--session", "11111111-2222-3333-4444-555555555555", endpoint=endpoint)
    events = setup.events()
    names = [event["hook_event_name"] for event in events]
    assert names[:4] == ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse"]
    assert names[-2:] == ["Stop", "SessionEnd"]
    assert events[1]["prompt"] == "Call get_brief."
    assert events[2]["tool_name"] == "mcp__agentorchestr__get_brief"
    assert {event["session_id"] for event in events} == {"11111111-2222-3333-4444-555555555555"}
    assert events[0]["cwd"] == str(setup.cwd)
    assert (setup.folder / "practice-11111111-2222-3333-4444-555555555555.jsonl").samefile(
        events[0]["transcript_path"]
    )


def test_the_transcript_counts_no_tokens(setup: Setup, serve: Serve) -> None:
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    setup.one_shot("Call get_brief.", "--session", "s1", endpoint=endpoint)
    lines = [json.loads(line) for line in (setup.folder / "practice-s1.jsonl").read_text().splitlines()]
    said = [line["message"] for line in lines if line["type"] == "assistant"]
    assert said
    assert {message["usage"]["input_tokens"] + message["usage"]["output_tokens"] for message in said} == {0}


def test_a_role_that_may_not_edit_changes_nothing(setup: Setup, serve: Serve) -> None:
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": {**BRIEF, "role": "reviewer"}})
    assert setup.one_shot("Call get_brief.", endpoint=endpoint).returncode == 0
    assert endpoint.called("report_done")
    assert log_of(setup.cwd) == ["first"]


def test_a_scenario_is_matched_by_the_task_and_every_edit_is_done(setup: Setup, serve: Serve) -> None:
    setup.scenario("""
        [[worker]]
        match = "nothing like it"
        turns = [[{ do = "die" }]]
        [[worker]]
        match = "a POEM"
        turns = [[
          { do = "write", file = "a/b.txt", text = "{worker_id} {integration} {unknown}\\n" },
          { do = "append", file = "README.md", text = "more\\n" },
          { do = "replace", file = "README.md", old = "sample", new = "poem" },
          { do = "delete", file = "src/app.py" },
          { do = "commit", message = "all of it" },
          { do = "shell", argv = ["git", "log", "-1"] },
          { do = "call", tool = "report_done", args = { summary = "by {worker_id}" } },
        ]]
    """)
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    done = setup.one_shot("Call get_brief.", endpoint=endpoint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (setup.cwd / "a/b.txt").read_text() == "w1 agentorchestr/s1/integration {unknown}\n"
    assert (setup.cwd / "README.md").read_text() == "a poem\nmore\n"
    assert not (setup.cwd / "src/app.py").exists()
    assert log_of(setup.cwd)[0] == "all of it"
    assert endpoint.called("report_done") == [{"summary": "by w1"}]


def test_later_turns_are_taken_only_by_what_they_wait_for(setup: Setup, serve: Serve) -> None:
    setup.scenario("""
        [[worker]]
        match = "poem"
        [[worker.turns]]
        steps = [{ do = "say", text = "one" }]
        [[worker.turns]]
        on = "conflicts with"
        steps = [{ do = "say", text = "two" }]
    """)
    brief = dict(BRIEF)
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": lambda _: brief})
    assert "● one" in setup.one_shot("Call get_brief.", "--session", "s1", endpoint=endpoint).stdout
    again = setup.one_shot("New message.", "--resume", "s1", endpoint=endpoint).stdout
    assert "nothing for me to do about that" in again
    brief["messages"] = [{"message_id": "m1", "sender": "supervisor", "body": "it conflicts with x"}]
    assert "● two" in setup.one_shot("New message.", "--resume", "s1", endpoint=endpoint).stdout
    assert (
        "nothing more for me to do"
        in setup.one_shot("New message.", "--resume", "s1", endpoint=endpoint).stdout
    )


def test_a_death_is_not_repeated_by_the_resumed_agent(setup: Setup, serve: Serve) -> None:
    setup.scenario("""
        [[worker]]
        match = "poem"
        turns = [[
          { do = "write", file = "x.txt", text = "1" },
          { do = "die", kill = true },
          { do = "call", tool = "report_done", args = { summary = "after all" } },
        ]]
    """)
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    assert setup.one_shot("Call get_brief.", "--session", "s1", endpoint=endpoint).returncode == -9
    assert not endpoint.called("report_done")
    assert "UserPromptSubmit" in setup.event_names()
    assert setup.one_shot("Go on.", "--resume", "s1", endpoint=endpoint).returncode == 0
    assert endpoint.called("report_done") == [{"summary": "after all"}]
    assert setup.events()[-1]["hook_event_name"] == "SessionEnd"


def test_an_exit_code_can_be_chosen_for_a_death(setup: Setup) -> None:
    setup.scenario('[[worker]]\nmatch = ""\nturns = [[{ do = "die", exit_code = 7 }]]')
    assert setup.one_shot("anything").returncode == 7


def test_a_failing_turn_is_told_by_a_hook_of_its_own(setup: Setup) -> None:
    setup.scenario('[[worker]]\nmatch = ""\nturns = [[{ do = "fail", error = "rate_limit" }]]')
    assert setup.one_shot("anything").returncode == 1
    failure = next(event for event in setup.events() if event["hook_event_name"] == "StopFailure")
    assert failure["error"] == "rate_limit"
    assert "Stop" not in setup.event_names()


def test_a_step_that_cannot_be_done_is_reported_as_failed(setup: Setup, serve: Serve) -> None:
    setup.scenario(
        '[[worker]]\nmatch = ""\nturns = [[{ do = "replace", file = "README.md", old = "no such", new = "x" }]]'
    )
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    assert setup.one_shot("Call get_brief.", endpoint=endpoint).returncode == 1
    assert "no such" in endpoint.called("report_failed")[0]["reason"]


def test_a_link_does_not_lead_an_edit_out_of_the_worktree(setup: Setup) -> None:
    outside = setup.folder / "outside"
    outside.mkdir()
    (setup.cwd / "link").symlink_to(outside)
    setup.scenario('[[worker]]\nmatch = ""\nturns = [[{ do = "write", file = "link/x", text = "x" }]]')
    assert setup.one_shot("anything").returncode == 1
    assert not list(outside.iterdir())


def test_a_turn_can_end_without_a_report(setup: Setup, serve: Serve) -> None:
    setup.scenario("""
        [[worker]]
        match = ""
        turns = [[{ do = "end_turn" }, { do = "call", tool = "report_done", args = { summary = "x" } }]]
    """)
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    assert setup.one_shot("Call get_brief.", endpoint=endpoint).returncode == 0
    assert not endpoint.called("report_done")


def test_a_tool_that_says_no_is_shown(setup: Setup, serve: Serve) -> None:
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF, "report_done": ValueError("not now: wait")})
    done = setup.one_shot("Call get_brief.", endpoint=endpoint)
    assert done.returncode == 1
    assert "✗ report_done: not now: wait" in done.stdout


def test_without_an_mcp_server_the_work_is_done_all_the_same(setup: Setup) -> None:
    assert setup.one_shot("- write a poem").returncode == 0
    assert log_of(setup.cwd)[0] == "note: notes/write-a-poem-w1.md"


def test_a_wrong_token_is_one_clear_line(serve: Serve) -> None:
    endpoint = serve(WORKER_TOOLS)
    client = McpClient(endpoint.url, {"Authorization": "Bearer wrong"}, stop=threading.Event())
    with pytest.raises(McpError, match=r"refused our token \(HTTP 401\)"):
        client.list_tools()


def test_a_server_that_is_being_restarted_is_waited_for(serve: Serve) -> None:
    endpoint = serve(WORKER_TOOLS, refuse_first=[503, 503])
    client = McpClient(endpoint.url, {"Authorization": f"Bearer {TOKEN}"}, stop=threading.Event())
    assert client.list_tools() == tuple(WORKER_TOOLS)


def test_a_forgotten_session_is_begun_anew(serve: Serve) -> None:
    endpoint = serve(WORKER_TOOLS, session_header="s-1")
    client = McpClient(endpoint.url, {"Authorization": f"Bearer {TOKEN}"}, stop=threading.Event())
    client.list_tools()
    endpoint.refuse_first.append(404)
    assert client.list_tools() == tuple(WORKER_TOOLS)
    assert endpoint.methods.count("initialize") == 2


def test_a_call_under_way_ends_at_once_when_aborted(serve: Serve) -> None:
    release, begun, stop = threading.Event(), threading.Event(), threading.Event()

    def slow(_: object) -> dict[str, object]:
        begun.set()
        release.wait(20)
        return {}

    endpoint = serve(["wait_for_any"], answers={"wait_for_any": slow})
    client = McpClient(endpoint.url, {"Authorization": f"Bearer {TOKEN}"}, stop=stop)
    raised: list[BaseException] = []

    def call() -> None:
        try:
            client.call("wait_for_any", {})
        except (Interrupted, ToolFailed, McpError) as exc:
            raised.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    assert begun.wait(5)
    stop.set()
    client.abort()
    thread.join(5)
    release.set()
    assert [type(exc) for exc in raised] == [Interrupted]


def test_a_resumed_worker_meets_its_own_merge_again(setup: Setup, serve: Serve) -> None:
    setup.scenario("""
        [[worker]]
        match = "poem"
        turns = [[
          { do = "update" },
          { do = "write", file = "README.md", text = "both\\n" },
          { do = "commit", message = "both" },
        ]]
    """)
    for branch, text in (("agentorchestr/s1/integration", "theirs"), ("agentorchestr/s1/w1", "ours")):
        git(setup.cwd, "checkout", "-q", "-b", branch, "main")
        (setup.cwd / "README.md").write_text(f"{text}\n")
        git(setup.cwd, "commit", "-q", "-am", text)
    with pytest.raises(subprocess.CalledProcessError):
        git(setup.cwd, "merge", "agentorchestr/s1/integration")
    endpoint = serve(WORKER_TOOLS, answers={"get_brief": BRIEF})
    done = setup.one_shot("Call get_brief.", endpoint=endpoint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(setup.cwd, "show", "HEAD:README.md") == "both"
    assert git(setup.cwd, "merge-base", "HEAD", "agentorchestr/s1/integration") == git(
        setup.cwd, "rev-parse", "agentorchestr/s1/integration"
    )


@pytest.mark.parametrize(("message_id", "reports"), [("m1", 2), ("new", 2), ("work", 1)])
def test_a_report_refused_for_messages_is_made_again_unless_they_bring_work(
    setup: Setup, serve: Serve, message_id: str, reports: int
) -> None:
    setup.scenario("""
        [[worker]]
        match = "poem"
        turns = [
          [{ do = "call", tool = "report_done", args = { summary = "x" } }],
          { on = "fail", steps = [{ do = "say", text = "later" }] },
        ]
    """)
    first = {"message_id": "m1", "sender": "supervisor", "body": "Mend it."}
    body = "The checks fail." if message_id == "work" else "Mend it."
    briefs = iter([[first], [{**first, "message_id": message_id, "body": body}]])
    answers = iter([ValueError("1 message(s) wait for you"), {"recorded": True}])
    endpoint = serve(
        WORKER_TOOLS,
        answers={
            "get_brief": lambda _: {**BRIEF, "messages": next(briefs)},
            "report_done": lambda _: next(answers),
        },
    )
    setup.one_shot("Call get_brief.", endpoint=endpoint)
    assert len(endpoint.called("report_done")) == reports
