"""Bring a finished session's result to the person's branch, on their word only."""

from pathlib import Path

from agentorchestr.errors import UsageError
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import Landed
from agentorchestr.paths import Paths
from agentorchestr.wiring.reading import read_session
from agentorchestr.worktree.landing import LandResult, land
from agentorchestr.worktree.repository import branch_tip, find_repository


def land_session(paths: Paths, session_id: str) -> LandResult:
    """Move the base branch to the integration branch, if nothing can be lost by it.

    Raises ``UsageError`` while the session runs, and what ``worktree.landing.land`` raises.
    """
    view = read_session(paths, session_id)
    if view.outcome is None:
        raise UsageError(f"session {session_id} still runs", hint=f"agentorchestr stop {session_id}")
    repository = find_repository(Path(view.created.repository))
    tip = branch_tip(repository, view.integration_branch)
    if tip is None:
        raise UsageError(
            f"the branch {view.integration_branch} is gone: there is nothing to land",
            hint=f"git branch --list 'agentorchestr/{session_id}/*'",
        )
    result = land(
        repository,
        integration_tip=tip,
        base_branch=view.created.base_branch,
        base_commit=view.created.base_commit,
    )
    with Journal.take_over(paths.session(session_id)) as journal:
        journal.append([Landed(result.branch, result.commit)])
    return result
