"""A few sessions of the long run in scripts/chaos/sessions: each way to end one, and nothing is left of any."""

import pytest

from scripts.chaos.many_sessions import report, run

SESSIONS = 3
pytestmark = pytest.mark.slow


def test_nothing_is_left_of_sessions_however_they_end() -> None:
    counts = run(SESSIONS, at_once=SESSIONS, seed=1, clean_every=SESSIONS)
    assert counts.sessions == SESSIONS
    assert counts.holds, report(counts, took_s=0)
    assert "tmux" in counts.open_files
