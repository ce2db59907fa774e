"""The verbs of a worker on the command line, against a small real HTTP server."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from agentorchestr.cli import worker_command as module
from agentorchestr.cli.main import cli
from agentorchestr.cli.worker_command import VERBS


@dataclass
class Session:
    """Answers every tool with *status* and *reply*, and keeps what was asked."""

    url: str = ""
    status: int = 200
    reply: object = field(default_factory=lambda: {"ok": True})
    asked: list[tuple[str, str, object]] = field(default_factory=list)


@pytest.fixture
def session() -> Iterator[Session]:
    one = Session()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            one.asked.append((self.path, self.headers["Authorization"], json.loads(body)))
            answer = one.reply if isinstance(one.reply, bytes) else json.dumps(one.reply).encode()
            self.send_response(one.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        one.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        server.shutdown()
        thread.join()


@pytest.fixture
def env(session: Session, tmp_path: Path) -> dict[str, str]:
    token = tmp_path / "token"
    token.write_text("secret-token\n")
    return {
        "AGENTORCHESTR_URL": session.url,
        "AGENTORCHESTR_TOKEN_FILE": str(token),
        "http_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }


def run(env: dict[str, str], *words: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["worker", *words], env=env, input=stdin)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_each_verb_calls_its_tool_with_its_argument(session, env, verb):
    words = ("the text",) if verb.argument else ()
    assert run(env, verb.name, *words)[0] == 0
    (path, authorization, body) = session.asked[0]
    assert path == f"/tools/{verb.tool}"
    assert authorization == "Bearer secret-token"
    assert body == ({verb.argument: "the text"} if verb.argument else {})


def test_a_long_run_is_announced_beside_the_text(session, env):
    assert run(env, "report-progress", "the", "long", "suite", "--quiet-minutes", "30")[0] == 0
    path, _, body = session.asked[0]
    assert (path, body) == ("/tools/report_progress", {"message": "the long suite", "quiet_minutes": 30})
    assert run(env, "report-progress", "x", "--quiet-minutes", "999")[0] != 0


def test_a_verb_may_be_spelt_like_its_tool(session, env):
    assert run(env, "report_done", "all")[0] == 0
    assert session.asked[0][0] == "/tools/report_done"


def test_the_verbs_fit_the_tools_of_a_worker():
    from agentorchestr.mcp_server.worker_tools import WORKER_TOOLS

    tools = {tool.name: tool for tool in WORKER_TOOLS}
    assert {verb.tool for verb in VERBS} == set(tools)
    for verb in VERBS:
        fields = tools[verb.tool].model_fields
        assert set(fields) == {name for name in (verb.argument, verb.number) if name}
        required = {name for name, rule in fields.items() if rule.is_required()}
        assert required == ({verb.argument} if verb.argument and verb.needed else set())


def test_a_text_comes_from_stdin_byte_for_byte(session, env):
    text = "größer $(rm -rf /) `x` 'y'\n\n  zwei\ttabs"
    assert run(env, "report-done", "-", stdin=text.encode() + b"\n")[0] == 0
    assert session.asked[0][2] == {"summary": text}


def test_words_need_no_quotes_and_may_begin_with_a_dash(session, env):
    assert run(env, "report-progress", "-3", "of", "--seven", "done")[0] == 0
    assert session.asked[0][2] == {"message": "-3 of --seven done"}


def test_an_optional_text_may_be_left_out(session, env):
    assert run(env, "read-notes")[0] == 0
    assert session.asked[0][2] == {}


def test_a_reply_is_readable_and_cannot_steer_the_terminal(session, env):
    session.reply = {"task": "one\ntwo", "role": "tester", "notes": [{"n": 1}], "screen": "\x1b]0;x\x07"}
    assert run(env, "get-brief") == (
        0,
        'task:\none\ntwo\nrole: tester\nnotes: [{"n": 1}]\nscreen: \\u001b]0;x\\u0007\n',
        "",
    )


def test_a_reply_as_json_is_one_line_that_reads_back(session, env):
    session.reply = {"task": "eins\nzwei", "screen": "\x1b[31m\x9b"}
    code, out, _ = run(env, "get-brief", "--json")
    assert (code, out.count("\n")) == (0, 1)
    assert json.loads(out) == session.reply
    assert "\x9b" not in out


def test_a_refusal_is_one_line_on_stderr_and_exit_code_1(session, env):
    session.status, session.reply = 409, {"error": "task t1 has an owner", "hint": "Claim another."}
    assert run(env, "claim-task", "t1") == (
        1,
        "",
        "agentorchestr: task t1 has an owner\n  hint: Claim another.\n",
    )


@pytest.mark.parametrize("reply", [b"<html>", b"[]", b"\xff"])
def test_an_answer_of_somebody_else_is_told(session, env, reply):
    session.reply = reply
    code, out, err = run(env, "get-brief")
    assert (code, out) == (1, "")
    assert err.startswith("agentorchestr: get_brief: the answer is not ours (HTTP 200)")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"AGENTORCHESTR_URL": None}, "AGENTORCHESTR_URL is not set"),
        ({"AGENTORCHESTR_URL": "http://evil.example:80"}, "is not an address on this machine"),
        ({"AGENTORCHESTR_URL": "https://127.0.0.1:1"}, "is not an address on this machine"),
        ({"AGENTORCHESTR_URL": "http://127.0.0.1:x"}, "is not an address on this machine"),
        ({"AGENTORCHESTR_URL": "http://127.0.0.1:80@evil.example"}, "is not an address on this machine"),
        ({"AGENTORCHESTR_URL": "http://127.0.0.1@evil.example:80"}, "is not an address on this machine"),
        ({"AGENTORCHESTR_TOKEN_FILE": None}, "AGENTORCHESTR_TOKEN_FILE is not set"),
        ({"AGENTORCHESTR_TOKEN_FILE": "/nowhere"}, "the token file cannot be read: /nowhere"),
    ],
)
def test_a_wrong_environment_is_one_line_and_nothing_is_sent(session, env, change, says):
    code, out, err = run({**env, **change}, "get-brief")
    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 2
    assert session.asked == []


def test_a_missing_or_broken_text_is_one_line(session, env):
    for words, stdin, says in (
        (("report-done",), None, "report-done needs a text"),
        (("report-done", "-"), b"", "report-done needs a text"),
        (("report-done", "-"), b"\xff\xfe", "the text is not UTF-8"),
        (("report-done", "-"), b"x" * 300_000, "the text is over"),
    ):
        code, _, err = run(env, *words, stdin=stdin)
        assert code == 1
        assert says in err
        assert err.count("\n") <= 2
    assert session.asked == []


def test_nobody_at_the_address_is_told_after_a_while(env, monkeypatch):
    monkeypatch.setattr(module, "RESTART_S", 0.0)
    code, _, err = run({**env, "AGENTORCHESTR_URL": "http://127.0.0.1:1"}, "get-brief")
    assert code == 1
    assert (
        err == "agentorchestr: the session does not answer\n  hint: it may be over; try again in a moment\n"
    )


def test_the_command_loads_no_http_client_before_it_needs_one():
    code = "import sys, agentorchestr.cli.worker_command; print([m for m in ('httpx', 'pydantic', 'mcp') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "[]\n"
