"""A session that cannot be written down leaves nothing, and one that cannot be read is not in the way."""

import logging
from pathlib import Path
from typing import cast

import pytest

from agentorchestr.model.request import SessionRequest
from agentorchestr.paths import Paths
from agentorchestr.wiring.reading import list_sessions, read_session, unreadable_sessions
from agentorchestr.wiring.starting import new_session
from agentorchestr.worktree.repository import find_repository


def request(project: Path, *, goal: str = "goal") -> SessionRequest:
    return SessionRequest(
        goal=goal,
        project=project,
        lead_agent="practice",
        worker_agents=("practice",),
        environment={"API_KEY": "secret"},
    )


def test_a_session_that_cannot_be_written_down_leaves_no_key_and_no_journal(
    private_paths: Paths, repo: Path
) -> None:
    no_text = cast("str", object())
    with pytest.raises(TypeError):
        new_session(request(repo, goal=no_text), find_repository(repo), private_paths)
    left = [path for root in (private_paths.run, private_paths.state) for path in root.rglob("*")]
    assert [path for path in left if path.is_file()] == []
    assert list_sessions(private_paths) == ()


def test_a_damaged_session_is_named_and_not_logged(
    private_paths: Paths, repo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = new_session(request(repo), find_repository(repo), private_paths)
    damaged = private_paths.session("dead01")
    damaged.mkdir()
    (damaged / "journal.sqlite").write_bytes(b"")
    with caplog.at_level(logging.INFO):
        assert list_sessions(private_paths) == (read_session(private_paths, session_id),)
    assert caplog.messages == []
    assert unreadable_sessions(private_paths, [session_id]) == ("dead01",)
