"""A conversation is gone on with only when its transcript says itself whose it is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.transcripts import is_conversation_of

Specs = dict[str, AgentSpec]
ID = "11111111-2222-3333-4444-555555555555"


def lines(agent: str, session: str, cwd: Path) -> list[dict[str, object]]:
    if agent == "codex":
        meta = {"type": "session_meta", "payload": {"id": session, "cwd": str(cwd)}}
        return [meta, {"type": "event_msg", "payload": {"type": "task_started"}}]
    turn = {"type": "user", "sessionId": session, "cwd": str(cwd)}
    return [{"type": "queue-operation", "sessionId": session}, turn]


def written(path: Path, entries: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return path


@pytest.mark.parametrize("agent", ["claude", "codex", "practice"])
def test_id_and_worktree_both_have_to_be_in_it(catalogue: Specs, tmp_path: Path, agent: str) -> None:
    here, there = tmp_path / "w1", tmp_path / "w2"
    here.mkdir()
    link = tmp_path / "link"
    link.symlink_to(here)
    file = tmp_path / "t.jsonl"

    def proves(session: str, cwd: Path) -> bool:
        return is_conversation_of(
            catalogue[agent], written(file, lines(agent, session, cwd)), agent_session=ID, cwd=here
        )

    assert proves(ID, here)
    assert proves(ID, link), "the same directory under another name"
    assert not proves(ID, there), "another worker's"
    assert not proves("another-id", here), "a copy under its name"


def test_a_transcript_that_says_nothing_proves_nothing(catalogue: Specs, tmp_path: Path) -> None:
    spec = catalogue["claude"]
    file = tmp_path / "t.jsonl"
    for entries in ([], [{"sessionId": ID}], [{"cwd": str(tmp_path)}], [{"payload": {"id": ID}}]):
        written(file, entries)
        assert not is_conversation_of(spec, file, agent_session=ID, cwd=tmp_path)
    assert not is_conversation_of(spec, tmp_path / "none.jsonl", agent_session=ID, cwd=tmp_path)
