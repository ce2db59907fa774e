"""Land a result on the person's branch: proven as it is now, or on their explicit word."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import RefMoved, UsageError, WorkAtRisk
from agentorchestr.model.states import CheckOutcome, Outcome
from agentorchestr.model.view import SessionView
from agentorchestr.process import MARK_VARIABLE
from agentorchestr.supervisor.integration import verdict_on
from agentorchestr.verify.outcome import outcome_of
from agentorchestr.verify.run import run_checks
from agentorchestr.worktree.landing import LandResult, base_tip, contains, land, merge_for_landing
from agentorchestr.worktree.repository import Repository, branch_tip
from agentorchestr.worktree.setup import apply_setup
from agentorchestr.worktree.worktrees import scratch_worktree

CHECK_LIMIT_S = 1800.0


def land_result(
    repository: Repository,
    view: SessionView,
    *,
    scratch: Path,
    env: Mapping[str, str],
    unverified: bool = False,
) -> LandResult:
    """Move the base branch to the integration branch, losing nothing of the person's.

    What lands has passed the checks as it is: by a verdict of the session, else they are run now. A base that
    moved meanwhile is merged, and both together are checked. With *unverified*, the person's word, nothing
    has to be proven. *scratch* is a folder of ours for a clean worktree.

    Raises ``UsageError`` for a session that was not done, ``WorkAtRisk`` when the integration branch is gone
    or the checks fail; and what ``land`` raises.
    """
    created = view.created
    tip = branch_tip(repository, view.integration_branch)
    if tip is None:
        raise WorkAtRisk(
            f"the branch {view.integration_branch} is gone: there is nothing to land",
            hint=f"git branch --list 'agentorchestr/{view.session_id}/*'",
        )
    base = created.base_branch
    current = base_tip(repository, base, tip=tip)
    proof = _Proof(repository, view, scratch, env)
    if not unverified and not contains(repository, tip, within=current):
        proof.need(tip)
    try:
        return _land(repository, view, tip)
    except RefMoved:
        message = f"Merge agentorchestr session {view.session_id}"
        both = merge_for_landing(repository, integration_tip=tip, base_branch=base, message=message)
    if not unverified:
        proof.check(both, what=f"{base} moved meanwhile, and on both together")
    return _land(repository, view, both)


def _land(repository: Repository, view: SessionView, commit: str) -> LandResult:
    created = view.created
    return land(
        repository,
        integration_tip=commit,
        base_branch=created.base_branch,
        base_commit=created.base_commit,
        session_id=view.session_id,
    )


@dataclass(frozen=True)
class _Proof:
    """Says whether what is to land was proven, running the checks where no verdict tells."""

    repository: Repository
    view: SessionView
    scratch: Path
    env: Mapping[str, str]

    def need(self, tip: str) -> None:
        """Raise unless the session was done and *tip* passes."""
        outcome = self.view.outcome or self.view.goal_marked
        word = f"agentorchestr land {self.view.session_id} --unverified"
        if outcome is not Outcome.DONE:
            raise UsageError(
                f"session {self.view.session_id} ended as {outcome}: its result is not proven",
                hint=f"look at it first, then: {word}",
            )
        verdict = verdict_on(self.view, tip)
        if verdict is None or not verdict.green:
            self.check(tip, what=f"{self.view.integration_branch} moved after its verdict, and as it is now")

    def check(self, commit: str, *, what: str) -> None:
        """Run the session's checks on *commit*.

        Raises ``WorkAtRisk``, beginning with *what*, unless they pass.
        """
        view, checks = self.view, self.view.created.checks
        word = f"or land it as it is: agentorchestr land {view.session_id} --unverified"
        if not checks:
            raise WorkAtRisk(
                f"{what} nothing proves it: the session has no checks",
                hint=f"see for yourself: git show {commit[:12]}; {word}",
            )
        marked = {**self.env, MARK_VARIABLE: f"{view.session_id}:landing"}
        place = self.scratch / f"land-{uuid.uuid4().hex[:8]}"
        with scratch_worktree(self.repository, place, commit) as folder:
            done = apply_setup(self.repository, folder, view.created.setup, marked)
            runs = run_checks(checks, cwd=folder, env={**marked, **done.env}, timeout_s=CHECK_LIMIT_S)
        if outcome_of(runs) is not CheckOutcome.GREEN:
            failed = next((run for run in runs if run.exit_code != 0), runs[0])
            raise WorkAtRisk(
                f"{what} the checks do not pass: {failed.shown} "
                f"({failed.counts or f'exit {failed.exit_code}'})",
                hint=f"see for yourself: git merge {view.integration_branch}; {word}",
            )
