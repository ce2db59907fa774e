import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agentorchestr.model.facts import (
    GoalMarked,
    Landed,
    MergeEnded,
    ProgressNoted,
    SessionEnded,
    TokensCounted,
    VerifyEnded,
)
from agentorchestr.model.resume import Resumed
from agentorchestr.model.states import CheckOutcome, MergeResult, Outcome
from agentorchestr.model.verdict import CheckRun, MergeAttempt, Verdict

EVIL = "\x1b]0;owned\x07[/bold][link=x]\x1b[2J \u202eflip\nnext"


@pytest.fixture
def told(stage: Any, make_facts: Any) -> Any:
    """A stage with one session that ended well, and agents that talk nonsense."""
    created, spawned = make_facts
    run = CheckRun("make test", 0, 1.5, "12 passed", "ok\n")
    verdict = Verdict("v1", "c" * 40, "t" * 40, CheckOutcome.GREEN, (run,), 1.5, 5.0)
    stage.product.add(
        "abc123",
        created("abc123", goal=f"goal {EVIL}", project=str(stage.project)),
        spawned("lead", role="lead", agent="claude"),
        spawned("w1"),
        spawned("w2"),
        ProgressNoted("w1", f"note {EVIL}"),
        MergeEnded(MergeAttempt("m1", "w1", MergeResult.MERGED, commit="c" * 40, files=("a.py", "b.py"))),
        MergeEnded(MergeAttempt("m2", "w2", MergeResult.CONFLICT, why="both changed a.py")),
        VerifyEnded(verdict),
        TokensCounted("w1", 1200, 300, 50),
        GoalMarked(Outcome.DONE, "all there"),
        SessionEnded(Outcome.DONE, f"all there {EVIL}"),
    )
    return stage


def data(result: Any, kind: str) -> Any:
    assert result.exit_code == 0, result.stderr
    envelope = json.loads(result.stdout)
    assert (envelope["schema"], envelope["kind"]) == ("agentorchestr/1", kind)
    return envelope["data"]


def test_the_report_says_all_that_is_promised(told: Any) -> None:
    text = told.run("status", "abc").stdout
    for part in (
        "session abc123 done in 10.0s",
        "merged    w1 implementer (codex): 2 files",
        "a.py",
        "not merged  w2 implementer (codex)",
        "conflict, both changed a.py",
        "checks    passed",
        "make test: exit 0, 12 passed (1.5s)",
        "branch    agentorchestr/abc123/integration",
        "land it   agentorchestr land abc123",
        "1,200 in, 300 out, 50 cached; not known for lead, w2",
    ):
        assert part in text


@pytest.mark.parametrize(
    "words", [["status"], ["workers"], ["logs"], ["sessions"], ["--list-sessions"], ["stop"], ["land"]]
)
def test_text_of_agents_never_reaches_the_terminal_as_codes(told: Any, words: list[str]) -> None:
    result = told.run(*words)
    assert result.exit_code == 0, result.stderr
    assert not set(result.stdout) & set("\x1b\x07\u202e\r")
    assert "owned" not in result.stdout


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["status", "--json"], "status"),
        (["--json", "status"], "status"),
        (["workers", "--json"], "workers"),
        (["logs", "--json"], "logs"),
        (["sessions", "--json"], "sessions"),
        (["--list-sessions", "--json"], "sessions"),
        (["stop", "--json"], "stop"),
        (["land", "--json"], "land"),
        (["--detect", "--json"], "detect"),
    ],
)
def test_every_listing_has_json_in_one_envelope(told: Any, words: list[str], kind: str) -> None:
    result = told.run(*words)
    assert result.stdout.isascii()
    data(result, kind)


def test_json_tells_what_the_report_tells(told: Any) -> None:
    found = data(told.run("status", "--json"), "status")
    assert (found["state"], found["exit_code"], found["merged_workers"]) == ("done", 0, 1)
    assert found["goal"] == f"goal {EVIL}"
    assert found["verdict"]["runs"][0]["counts"] == "12 passed"
    assert found["land_command"] == "agentorchestr land abc123"
    assert [one["id"] for one in found["team"]] == ["lead", "w1", "w2"]


def test_a_landed_session_offers_no_second_landing(told: Any) -> None:
    told.product.add("abc123", Landed("main", "c" * 40))
    assert data(told.run("status", "--json"), "status")["land_command"] is None
    assert "landed    on main" in told.run("status").stdout


def test_a_session_without_checks_is_never_told_as_green(stage: Any, make_facts: Any) -> None:
    created, _ = make_facts
    stage.product.add("abc123", created("abc123", checks=()), SessionEnded(Outcome.UNVERIFIED, ""))
    assert "there are no checks: nothing was verified" in stage.run("status").stdout


def test_a_session_nobody_looks_after_is_said(stage: Any, make_facts: Any) -> None:
    created, _ = make_facts
    stage.product.add("abc123", created("abc123"))
    stage.product.alive = False
    assert "agentorchestr stop abc123" in stage.run("status").stdout
    assert data(stage.run("sessions", "--json"), "sessions")[0]["state"] == "stopped"


def test_plain_listings_have_tabs_and_no_header(told: Any) -> None:
    (line,) = told.run("sessions").stdout.splitlines()
    assert line.split("\t")[:2] == ["abc123", "done"]


def test_logs_can_go_on_from_a_place(told: Any) -> None:
    assert data(told.run("logs", "--after", "10", "--json"), "logs")["facts"][0]["seq"] == 11


def test_sessions_that_cannot_be_read_are_one_quiet_note(told: Any) -> None:
    told.product.damaged = ["dead01", "dead02"]
    result = told.run("sessions")
    assert result.stdout.startswith("abc123")
    assert result.stderr == "cannot be read, so not shown: dead01, dead02\n"


def test_no_sessions_is_said(stage: Any) -> None:
    assert "no sessions yet" in stage.run("sessions").stdout
    assert data(stage.run("sessions", "--json"), "sessions") == []


def test_json_of_a_goal_is_one_document(stage: Any) -> None:
    found = data(stage.run("--trust", "--json", "--goal", "x"), "report")
    assert (found["id"], found["exit_code"]) == ("abc123", 0)


@pytest.fixture
def supervisor() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A stand-in for the supervisor's control address; it keeps what it was asked."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((f"{self.command} {self.path}", self.headers.get("Authorization", "")))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        do_POST = do_GET  # noqa: N815  # the base class names it

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    thread.join()
    server.server_close()


def end_after(stage: Any, reads: int) -> None:
    """Let the session end once it was looked at *reads* times."""
    left = [reads]

    def on_read() -> None:
        left[0] -= 1
        if left[0] == 0:
            stage.product.add("abc123", ProgressNoted("w1", "almost"))
            stage.product.add("abc123", SessionEnded(Outcome.DONE, "there"))

    stage.product.on_read = on_read


def test_following_asks_the_supervisor_with_the_token(
    stage: Any, supervisor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, asked = supervisor
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    stage.product.endpoint, stage.product.outcome = (url, "secret"), None
    end_after(stage, 3)
    result = stage.run("--trust", "--goal", "x")
    assert result.exit_code == 0
    assert asked[0] == ("GET /control/events?after=2&wait_s=20.0", "Bearer secret")
    assert stage.product.whole_reads == 1
    assert "almost" in result.stdout
    assert "session abc123 done" in result.stdout
    assert "secret" not in result.output


def test_following_reads_the_journal_when_the_supervisor_does_not_answer(stage: Any) -> None:
    stage.product.endpoint, stage.product.outcome = ("http://127.0.0.1:1", "t"), None
    end_after(stage, 4)
    result = stage.run("--trust", "--goal", "x")
    assert result.exit_code == 0
    assert "almost" in result.stdout


def test_progress_in_a_pipe_is_changed_lines_only(stage: Any, supervisor: Any) -> None:
    stage.product.endpoint, stage.product.outcome = (supervisor[0], "t"), None
    end_after(stage, 6)
    lines = stage.run("--trust", "--goal", "x").stdout.splitlines()
    assert sum("w1  implementer" in line for line in lines) == 2


def interrupts(times: int) -> Any:
    """What the first *times* looks at a session do; the command reads it, and a person presses Ctrl-C."""
    left = [None] * times

    def interrupt() -> None:
        if left:
            left.pop()
            raise KeyboardInterrupt

    return interrupt


def test_ctrl_c_pauses_the_session_and_says_how_to_go_on(stage: Any) -> None:
    stage.product.outcome = None
    stage.product.on_read = interrupts(1)
    result = stage.run("--trust", "--goal", "x")
    assert result.exit_code == Outcome.PAUSED.exit_code
    assert "Ctrl-C again" in result.stderr
    assert "agentorchestr --resume abc123" in result.stdout
    assert (stage.product.paused, stage.product.stopped) == (["abc123"], [])


def test_ctrl_c_twice_stops_the_session(stage: Any) -> None:
    stage.product.outcome = None
    stage.product.on_read = interrupts(2)
    stage.run("--trust", "--goal", "x")
    assert (stage.product.paused, stage.product.stopped) == ([], ["abc123"])


def test_pause_asks_a_living_supervisor_first(stage: Any, make_facts: Any, supervisor: Any) -> None:
    created, _ = make_facts
    url, asked = supervisor
    stage.product.add("abc123", created("abc123"))
    stage.product.endpoint = (url, "secret")
    end_after(stage, 2)
    assert stage.run("pause", "abc").exit_code == 0
    ((line, token),) = asked
    assert (line.rstrip("?"), token) == ("POST /control/pause", "Bearer secret")
    assert stage.product.paused == ["abc123"]


def test_resume_keeps_what_the_session_was_given(stage: Any) -> None:
    for word, value in (
        ("--max-workers", "3"),
        ("--checks", "true"),
        ("--agents", "claude"),
        ("--broker", "x"),
    ):
        said, hint = stage.refused("--resume", "abc", word, value)
        assert said == f"{word} cannot go with --resume: it is kept from the start"
        assert "--timeout" in hint
    assert stage.product.resumed == []


@pytest.mark.parametrize(
    ("words", "limit"), [((), None), (("--timeout", "2m"), 120.0), (("--no-attach",), None)]
)
def test_resume_follows_the_session_to_its_end(
    stage: Any, make_facts: Any, words: tuple[str, ...], limit: float | None
) -> None:
    created, _ = make_facts
    stage.product.add("abc123", created("abc123"), SessionEnded(Outcome.DONE, "ok"))
    for named in ((), ("abc",)):
        result = stage.run("--resume", *named, *words)
        assert result.exit_code == 0, result.output
        assert "session abc123 goes on" in result.stdout
    assert stage.product.resumed == [("abc123", limit)] * 2


@pytest.mark.parametrize(
    ("how", "said"), [(Resumed.RUNNING, "runs already"), (Resumed.ELSEWHERE, "by another command")]
)
def test_resume_says_when_there_is_nothing_to_do(
    stage: Any, make_facts: Any, how: Resumed, said: str
) -> None:
    created, _ = make_facts
    stage.product.add("abc123", created("abc123"), SessionEnded(Outcome.DONE, "ok"))
    stage.product.how = how
    result = stage.run("--resume", "--timeout", "5m")
    assert said in result.stdout
    assert "--timeout was left out" in result.stderr


def test_stop_asks_a_living_supervisor_first(stage: Any, make_facts: Any, supervisor: Any) -> None:
    created, _ = make_facts
    url, asked = supervisor
    stage.product.add("abc123", created("abc123"))
    stage.product.endpoint = (url, "secret")
    end_after(stage, 2)
    assert stage.run("stop", "abc").exit_code == 0
    ((line, token),) = asked
    assert (line.rstrip("?"), token) == ("POST /control/stop", "Bearer secret")
    assert stage.product.stopped == ["abc123"]


def test_a_fault_of_ours_is_one_line_and_a_kept_traceback(stage: Any) -> None:
    def fault() -> None:
        raise ZeroDivisionError("x \x1b[2J")

    stage.product.on_read = fault
    result = stage.run("--trust", "--goal", "x")
    assert result.exit_code == 1
    assert "fault in agentorchestr: ZeroDivisionError: x" in result.stderr
    assert "Traceback" not in result.output
    assert "\x1b" not in result.output
