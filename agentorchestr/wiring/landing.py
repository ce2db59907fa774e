"""Bring a finished session's result to the person's branch, on their word only."""

import os
from pathlib import Path

from agentorchestr.errors import UsageError
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import Landed
from agentorchestr.paths import Paths, holding_lock
from agentorchestr.supervisor.finishing import remove_if_empty
from agentorchestr.supervisor.landing import land_result
from agentorchestr.wiring.reading import read_session, session_lock
from agentorchestr.worktree.landing import LandResult
from agentorchestr.worktree.repository import find_repository


def land_session(paths: Paths, session_id: str, *, unverified: bool = False) -> LandResult:
    """Move the base branch to the integration branch, if nothing can be lost by it and it is proven.

    *unverified* is the person's word that it need not be.

    Raises ``UsageError`` while the session runs, ``LockHeld`` while another command is at work on it, and
    what ``supervisor.landing.land_result`` raises.
    """
    view = read_session(paths, session_id)
    if view.outcome is None:
        raise UsageError(f"session {session_id} still runs", hint=f"agentorchestr stop {session_id}")
    repository = find_repository(Path(view.created.repository))
    scratch = paths.worktrees(repository.key, session_id)
    with holding_lock(session_lock(paths, session_id)):
        try:
            result = land_result(repository, view, scratch=scratch, env=os.environ, unverified=unverified)
        finally:
            remove_if_empty(scratch)
            remove_if_empty(scratch.parent)
    with Journal.take_over(paths.session(session_id)) as journal:
        journal.append([Landed(result.branch, result.commit)])
    return result
