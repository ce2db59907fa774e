"""The merge queue: one worker after another, checked on the merged tree, moved by compare-and-swap."""

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from agentorchestr.errors import OrchestrError, RefMoved
from agentorchestr.model import facts as f
from agentorchestr.model.states import LEAD, CheckOutcome, MergeResult
from agentorchestr.model.verdict import Conflict, MergeAttempt, Verdict
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor.checking import Checks
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.refusals import Refusal, refuse_altered_tests, refuse_by_result
from agentorchestr.supervisor.told import told_after_merge
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.merging import (
    ComputedMerge,
    commit_tree,
    compute_merge,
    fast_forward,
    move_branch,
)
from agentorchestr.worktree.repository import branch_tip

logger = logging.getLogger(__name__)

RACES = 3
"""How often a merge is computed anew because somebody else moved the integration branch."""


class Integration:
    """Carries out merges and checks, one at a time, in the order in which they were asked for."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._committing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.checks = Checks(gear)

    async def ask_merge(self, worker_id: str, *, allow_test_changes: bool) -> str:
        """Queue a merge; the same worker's open one is returned instead of a second."""
        asked = f.MergeAsked(f"m-{uuid.uuid4().hex[:6]}", worker_id, allow_test_changes)
        chosen: list[str] = []

        def choose(view: SessionView) -> Sequence[f.Fact]:
            running = _open_merge(view, worker_id)
            chosen.append(running or asked.merge_id)
            return [] if running else [*_known_done(view, worker_id), asked]

        await self._gear.book.decide(choose)
        return chosen[0]

    async def ask_verify(self, commit: str) -> str:
        """Queue a run of the checks on *commit*."""
        verdict_id = f"v-{uuid.uuid4().hex[:6]}"
        await self._gear.book.record(f.VerifyAsked(verdict_id, commit))
        return verdict_id

    async def serve(self) -> None:
        """Work the queue until cancelled; what an older supervisor left open comes first."""
        done = 0
        while True:
            read = await self._gear.book.facts(after=done, limit=-1)
            for item in read:
                if isinstance(item.fact, f.MergeAsked | f.VerifyAsked):
                    await self._carry_out(item.fact, asked_at=item.at)
            # Only what was read is done with: a request may have come while this went on.
            done = read[-1].seq if read else done
            await self._gear.book.next_after(done)

    async def _carry_out(self, fact: f.Fact, *, asked_at: float) -> None:
        view = self._gear.view
        if isinstance(fact, f.MergeAsked) and fact.merge_id in view.merges_open:
            attempt = await self._begun_before(fact) or await self._attempt(fact)
            await self._gear.book.decide(
                lambda view: [
                    f.MergeEnded(attempt),
                    *told_after_merge(view.workers[fact.worker_id], attempt, asked_at=asked_at),
                ]
            )
            logger.info("merge ended", extra={"worker_id": fact.worker_id, "detail": attempt.result.value})
        elif isinstance(fact, f.VerifyAsked) and fact.verdict_id in view.verifies_open:
            verdict = await self.checks.verify(fact.verdict_id, fact.commit)
            await self._gear.book.record(f.VerifyEnded(verdict))

    async def _begun_before(self, asked: f.MergeAsked) -> MergeAttempt | None:
        """What an older supervisor had proven and begun to move: found done, or done now; else None."""
        gear, proven = self._gear, self._gear.view.merges_proven.get(asked.merge_id)
        if proven is None:
            return None
        branch, commit = gear.view.integration_branch, proven.attempt.commit
        tip = await offload(branch_tip, gear.repository, branch)
        try:
            if tip == proven.expected:
                await offload(move_branch, gear.repository, branch, new=commit, expected=proven.expected)
            elif tip != commit:
                return None
        except OrchestrError:
            return None  # computed anew, which says what is wrong
        await self._show_lead(commit)
        return proven.attempt

    async def _attempt(self, asked: f.MergeAsked) -> MergeAttempt:
        for _ in range(RACES):
            try:
                return await self._merge(asked, self._gear.view.workers[asked.worker_id])
            except RefMoved:
                continue
            except (OrchestrError, OSError) as exc:
                hint = getattr(exc, "hint", "")
                return _attempt(asked, MergeResult.ERROR, why=f"{exc}. {hint}" if hint else str(exc))
        return _attempt(asked, MergeResult.ERROR, why="the integration branch kept moving")

    async def _merge(self, asked: f.MergeAsked, worker: WorkerView) -> MergeAttempt:
        gear = self._gear
        if not worker.in_turn:
            await self.commit_leftovers(worker)
        ours = await offload(branch_tip, gear.repository, gear.view.integration_branch)
        theirs = await offload(branch_tip, gear.repository, worker.branch)
        if ours is None or theirs is None:
            gone = gear.view.integration_branch if ours is None else worker.branch
            return _attempt(asked, MergeResult.ERROR, why=f"the branch {gone} is gone")
        computed = await offload(compute_merge, gear.repository, ours=ours, theirs=theirs)
        refused = await self._refuse(asked, worker, computed, ours=ours, theirs=theirs)
        if refused is not None:
            return _attempt(
                asked,
                refused.result,
                files=computed.files,
                conflicts=computed.conflicts,
                tests=refused.tests,
                why=refused.why,
            )
        return await self._check_and_move(asked, worker, computed, ours=ours, theirs=theirs)

    async def _refuse(
        self, asked: f.MergeAsked, worker: WorkerView, computed: ComputedMerge, *, ours: str, theirs: str
    ) -> Refusal | None:
        """Why this branch cannot be merged as it is; None when it can."""
        may_edit = self._gear.roles[worker.role].may_edit
        refused = refuse_by_result(computed, role=worker.role, may_edit=may_edit, branch=worker.branch)
        if refused is not None or asked.allow_test_changes:
            return refused
        return await offload(refuse_altered_tests, self._gear.repository, computed, ours=ours, theirs=theirs)

    async def _check_and_move(
        self, asked: f.MergeAsked, worker: WorkerView, computed: ComputedMerge, *, ours: str, theirs: str
    ) -> MergeAttempt:
        gear, files = self._gear, computed.files
        message = f"Merge {worker.worker_id}: {worker.task.splitlines()[0][:60] if worker.task else ''}"
        commit = await offload(
            commit_tree, gear.repository, tree=computed.tree, parents=(ours, theirs), message=message
        )
        verdict = await self.checks.verify(f"v-{uuid.uuid4().hex[:6]}", commit)
        if verdict.outcome is CheckOutcome.RED:
            why = "the checks fail on the merged tree"
            return _attempt(asked, MergeResult.RED, files=files, verdict=verdict, why=why)
        if verdict.outcome is CheckOutcome.ERROR:
            return _attempt(asked, MergeResult.ERROR, files=files, verdict=verdict, why=verdict.problem)
        why = "" if verdict.green else "merged; the project has no checks, so nothing was verified"
        merged = _attempt(asked, MergeResult.MERGED, commit=commit, files=files, verdict=verdict, why=why)
        await gear.book.record(f.MergeProven(merged, ours))
        await offload(move_branch, gear.repository, gear.view.integration_branch, new=commit, expected=ours)
        await self._show_lead(commit)
        return merged

    async def _show_lead(self, commit: str) -> None:
        """Bring the lead's worktree to the new tip, so that it reads what was merged."""
        lead = self._gear.view.lead
        if lead is not None and lead.start_commit:
            await offload(fast_forward, Path(lead.worktree), commit)

    async def commit_leftovers(self, worker: WorkerView) -> None:
        """Commit for a worker what it left uncommitted, so that no work depends on its manners.

        Raises ``GitError`` when its worktree is in no state to be committed: an unresolved merge, another
        branch than its own.
        """
        path = Path(worker.worktree)
        if not await offload(path.is_dir):
            return
        message = f"{worker.worker_id}: work left uncommitted"
        branch = "" if worker.is_lead else worker.branch
        async with self._committing[worker.worker_id]:
            made = await offload(commit_all, path, message=message, branch=branch)
            if made is not None:
                commit, files = made
                await self._gear.book.record(f.WorkCommitted(worker.worker_id, commit, files))


def verdict_on(view: SessionView, commit: str) -> Verdict | None:
    """The last verdict on exactly this commit."""
    return next((v for v in reversed(view.verdicts) if v.commit == commit), None)


def _open_merge(view: SessionView, worker_id: str) -> str:
    return next((merge_id for merge_id, owner in view.merges_open.items() if owner == worker_id), "")


def _known_done(view: SessionView, worker_id: str) -> list[f.Fact]:
    """Who merges a worker knows that it is done: told of that later, it would merge once more for nothing."""
    known = tuple(e.seq for e in view.unread_events if (e.kind, e.worker_id) == ("done", worker_id))
    return [f.EventsRead(LEAD, told=known)] if known else []


def _attempt(
    asked: f.MergeAsked,
    result: MergeResult,
    *,
    commit: str = "",
    files: Sequence[str] = (),
    conflicts: Sequence[Conflict] = (),
    tests: Sequence[str] = (),
    verdict: Verdict | None = None,
    why: str = "",
) -> MergeAttempt:
    return MergeAttempt(
        merge_id=asked.merge_id,
        worker_id=asked.worker_id,
        result=result,
        commit=commit,
        files=tuple(files),
        conflicts=tuple(conflicts),
        altered_tests=tuple(tests),
        verdict=verdict,
        why=why,
    )
