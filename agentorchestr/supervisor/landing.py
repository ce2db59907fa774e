"""Land a result on the person's branch; one that moved meanwhile is merged and checked first."""

import uuid
from collections.abc import Mapping
from pathlib import Path

from agentorchestr.errors import RefMoved, WorkAtRisk
from agentorchestr.model.states import CheckOutcome
from agentorchestr.model.view import SessionView
from agentorchestr.process import MARK_VARIABLE
from agentorchestr.verify.outcome import outcome_of
from agentorchestr.verify.run import run_checks
from agentorchestr.worktree.landing import LandResult, land, merge_for_landing
from agentorchestr.worktree.repository import Repository, branch_tip
from agentorchestr.worktree.setup import apply_setup
from agentorchestr.worktree.worktrees import scratch_worktree

CHECK_LIMIT_S = 1800.0


def land_result(
    repository: Repository, view: SessionView, *, scratch: Path, env: Mapping[str, str]
) -> LandResult:
    """Move the base branch to the integration branch, losing nothing of the person's.

    *scratch* is a folder of ours for a clean worktree. Raises ``WorkAtRisk`` when the integration branch is
    gone, or when the base moved meanwhile and the checks fail on both together; and what ``land`` raises.
    """
    created = view.created
    tip = branch_tip(repository, view.integration_branch)
    if tip is None:
        raise WorkAtRisk(
            f"the branch {view.integration_branch} is gone: there is nothing to land",
            hint=f"git branch --list 'agentorchestr/{view.session_id}/*'",
        )
    base, start = created.base_branch, created.base_commit
    try:
        return land(repository, integration_tip=tip, base_branch=base, base_commit=start)
    except RefMoved:
        message = f"Merge agentorchestr session {view.session_id}"
        both = merge_for_landing(repository, integration_tip=tip, base_branch=base, message=message)
    _check(repository, view, both, scratch=scratch, env=env)
    return land(repository, integration_tip=both, base_branch=base, base_commit=start)


def _check(
    repository: Repository, view: SessionView, commit: str, *, scratch: Path, env: Mapping[str, str]
) -> None:
    """Run the session's checks on *commit*; only a red answer forbids the landing."""
    checks = view.created.checks
    if not checks:
        return
    marked = {**env, MARK_VARIABLE: f"{view.session_id}:landing"}
    with scratch_worktree(repository, scratch / f"land-{uuid.uuid4().hex[:8]}", commit) as folder:
        done = apply_setup(repository, folder, view.created.setup, marked)
        runs = run_checks(checks, cwd=folder, env={**marked, **done.env}, timeout_s=CHECK_LIMIT_S)
    if outcome_of(runs) is not CheckOutcome.GREEN:
        failed = next((run for run in runs if run.exit_code != 0), runs[0])
        raise WorkAtRisk(
            f"{view.created.base_branch} moved meanwhile, and on both together the checks do not pass: "
            f"{failed.shown} ({failed.counts or f'exit {failed.exit_code}'})",
            hint=f"see for yourself: git merge {view.integration_branch}",
        )
