import json
import os
import time
from pathlib import Path

import pytest

from agentorchestr.agents.signals import AgentSignal, read_hook, read_rollout, read_status_file
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.tokens import count_tokens
from agentorchestr.agents.transcripts import find_transcript
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import Tokens

Specs = dict[str, AgentSpec]
K = AgentEventKind


@pytest.mark.parametrize("agent", ["claude", "codex", "practice"])
@pytest.mark.parametrize(
    ("payload", "kind", "detail"),
    [
        ({"hook_event_name": "SessionStart", "source": "startup"}, K.STARTED, "startup"),
        ({"hook_event_name": "UserPromptSubmit", "prompt": "do it"}, K.PROMPT_TAKEN, "do it"),
        ({"hook_event_name": "PreToolUse", "tool_name": "Bash"}, K.ACTIVE, "Bash"),
        ({"hook_event_name": "PostToolUse", "tool_name": "Bash"}, K.ACTIVE, "Bash"),
        ({"hook_event_name": "PermissionRequest", "tool_name": "Bash"}, K.ASKS, "Bash"),
        ({"hook_event_name": "Stop", "last_assistant_message": "All done."}, K.TURN_ENDED, "All done."),
        ({"hook_event_name": "SessionEnd", "reason": "other"}, K.ENDED, "other"),
    ],
)
def test_hooks_are_read(
    catalogue: Specs, agent: str, payload: dict[str, object], kind: AgentEventKind, detail: str
) -> None:
    whole = {**payload, "session_id": "s1", "transcript_path": "/t.jsonl", "cwd": "/"}
    assert read_hook(catalogue[agent], whole) == AgentSignal(kind, detail, "s1", "/t.jsonl")


@pytest.mark.parametrize(
    ("error", "kind"),
    [("server_error", K.TURN_FAILED), ("rate_limit", K.LIMITED), ("billing_error", K.LIMITED)],
)
def test_a_failed_turn_tells_why(catalogue: Specs, error: str, kind: AgentEventKind) -> None:
    signal = read_hook(catalogue["claude"], {"hook_event_name": "StopFailure", "error": error})
    assert signal is not None
    assert (signal.kind, signal.detail) == (kind, error)


def test_a_turn_with_something_in_the_background_says_so(catalogue: Specs) -> None:
    payload = {"hook_event_name": "Stop", "background_tasks": [{"id": "b1"}]}
    signal = read_hook(catalogue["claude"], payload)
    assert signal is not None
    assert signal.background


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"hook_event_name": 7},
        {"hook_event_name": "PreCompact"},
        {"hook_event_name": "SessionEnd", "reason": "clear"},
    ],
)
def test_what_means_nothing_is_nothing(catalogue: Specs, payload: dict[str, object]) -> None:
    assert read_hook(catalogue["claude"], payload) is None
    assert read_hook(catalogue["aider"], payload) is None


def test_odd_fields_do_no_harm(catalogue: Specs) -> None:
    payload = {"hook_event_name": "UserPromptSubmit", "prompt": ["x"], "session_id": None}
    assert read_hook(catalogue["claude"], payload) == AgentSignal(K.PROMPT_TAKEN, "")
    signal = read_hook(catalogue["claude"], {"hook_event_name": "UserPromptSubmit", "prompt": "x" * 9000})
    assert signal is not None
    assert len(signal.detail) == 2000


def write_status(home: Path, pid: int, **fields: object) -> None:
    folder = home / ".claude" / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    status = {"pid": pid, "sessionId": "s1", "startedAt": int(time.time() * 1000), **fields}
    (folder / f"{pid}.json").write_text(json.dumps(status))


@pytest.mark.parametrize(
    ("status", "kind", "background"),
    [
        ("busy", K.ACTIVE, False),
        ("idle", K.TURN_ENDED, False),
        ("shell", K.TURN_ENDED, True),
        ("waiting", K.ASKS, False),
    ],
)
def test_claudes_status_file_is_read(
    catalogue: Specs,
    tmp_path: Path,
    status: str,
    kind: AgentEventKind,
    background: bool,  # noqa: FBT001 - a column
) -> None:
    write_status(tmp_path, os.getpid(), status=status, waitingFor="permission prompt")
    signal = read_status_file(catalogue["claude"], os.getpid(), {"HOME": str(tmp_path)})
    assert signal == AgentSignal(kind, "permission prompt", "s1", "", background)


def test_a_status_file_that_is_not_this_process_says_nothing(catalogue: Specs, tmp_path: Path) -> None:
    env, spec, me = {"HOME": str(tmp_path)}, catalogue["claude"], os.getpid()
    assert read_status_file(spec, me, env) is None
    write_status(tmp_path, me, status="busy", startedAt=1000)
    assert read_status_file(spec, me, env) is None, "an earlier process with the same pid"
    write_status(tmp_path, 2**22 + 1, status="busy")
    assert read_status_file(spec, 2**22 + 1, env) is None, "a process that ended"
    write_status(tmp_path, me, status="odd")
    assert read_status_file(spec, me, env) is None
    (tmp_path / ".claude" / "sessions" / f"{me}.json").write_text("{")
    assert read_status_file(spec, me, env) is None
    assert read_status_file(catalogue["codex"], me, env) is None


def rollout(tmp_path: Path, *payloads: dict[str, object]) -> Path:
    file = tmp_path / "rollout-x.jsonl"
    lines = [json.dumps({"type": "event_msg", "payload": payload}) for payload in payloads]
    file.write_text("\n".join(lines) + '\n{"type": "event_msg", "pay')
    return file


@pytest.mark.parametrize(
    ("last", "kind", "detail"),
    [
        ({"type": "task_started"}, K.ACTIVE, ""),
        ({"type": "task_complete", "last_agent_message": "fine"}, K.TURN_ENDED, "fine"),
        (
            {"type": "task_complete", "error": {"message": "unexpected status 401"}},
            K.TURN_FAILED,
            "unexpected status 401",
        ),
        (
            {"type": "task_complete", "error": {"message": "You've hit your usage limit"}},
            K.LIMITED,
            "You've hit your usage limit",
        ),
        ({"type": "turn_aborted", "reason": "interrupted"}, K.TURN_ENDED, "interrupted"),
    ],
)
def test_codex_rollout_tells_the_newest_turn(
    catalogue: Specs, tmp_path: Path, last: dict[str, object], kind: AgentEventKind, detail: str
) -> None:
    file = rollout(tmp_path, {"type": "task_complete"}, last, {"type": "token_count"})
    assert read_rollout(catalogue["codex"], file) == AgentSignal(kind, detail)


def test_only_the_end_of_a_long_rollout_is_read(catalogue: Specs, tmp_path: Path) -> None:
    filler = [{"type": "noise", "text": "x" * 1000}] * 400
    file = rollout(tmp_path, {"type": "task_started"}, *filler)
    assert read_rollout(catalogue["codex"], file) is None
    assert read_rollout(catalogue["codex"], tmp_path / "none") is None


def test_claudes_tokens_count_each_message_once(catalogue: Specs, tmp_path: Path) -> None:
    def line(message_id: str, output: int) -> str:
        usage = {
            "input_tokens": 10,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 100,
            "output_tokens": output,
        }
        return json.dumps({"type": "assistant", "message": {"id": message_id, "usage": usage}})

    file = tmp_path / "s1.jsonl"
    file.write_text(
        "\n".join([line("m1", 1), line("m1", 7), '{"type": "user"}', line("m2", 3), '{"usage": "cut'])
    )
    helpers = tmp_path / "s1" / "subagents"
    helpers.mkdir(parents=True)
    (helpers / "agent-1.jsonl").write_text(line("m1", 2))
    assert count_tokens(catalogue["claude"], file) == Tokens(45, 12, 300, known=True)


def test_codex_tokens_are_its_own_last_total(catalogue: Specs, tmp_path: Path) -> None:
    def total(fresh: int) -> dict[str, object]:
        usage = {"input_tokens": fresh + 50, "cached_input_tokens": 50, "output_tokens": 4}
        return {"type": "token_count", "info": {"total_token_usage": usage}}

    file = rollout(
        tmp_path, total(1), {"type": "token_count", "info": None}, total(20), {"type": "token_count"}
    )
    assert count_tokens(catalogue["codex"], file) == Tokens(20, 4, 50, known=True)


def test_tokens_are_unknown_where_nothing_tells(catalogue: Specs, tmp_path: Path) -> None:
    file = rollout(tmp_path, {"type": "task_started"})
    assert count_tokens(catalogue["codex"], file) == Tokens()
    assert count_tokens(catalogue["aider"], file) == Tokens()
    assert count_tokens(catalogue["claude"], tmp_path / "none") == Tokens()


def test_a_transcript_is_found_by_its_session(catalogue: Specs, tmp_path: Path) -> None:
    day = tmp_path / ".codex" / "sessions" / "2026" / "01" / "02"
    day.mkdir(parents=True)
    mine = day / "rollout-2026-01-02T00-00-00-abc.jsonl"
    for file in (mine, day / "rollout-2026-01-02T00-00-00-abd.jsonl"):
        file.write_text("{}")
    env = {"HOME": str(tmp_path)}
    assert find_transcript(catalogue["codex"], agent_session="abc", env=env) == mine
    assert find_transcript(catalogue["codex"], agent_session="*", env=env) is None
    assert find_transcript(catalogue["codex"], agent_session="", env=env) is None
    assert find_transcript(catalogue["codex"], agent_session="abc", env={**env, "CODEX_HOME": "/x"}) is None
