"""The merge queue: one worker after another, checked on the merged tree, moved by compare-and-swap."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agentorchestr.errors import OrchestrError, RefMoved
from agentorchestr.model import facts as f
from agentorchestr.model.states import CheckOutcome, MergeResult
from agentorchestr.model.verdict import Conflict, MergeAttempt, Verdict
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import MARK_VARIABLE, end_marked, offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.told import told_after_merge
from agentorchestr.verify.altered import altered_tests
from agentorchestr.verify.outcome import outcome_of
from agentorchestr.verify.run import run_checks
from agentorchestr.worktree import gateway
from agentorchestr.worktree.committing import changed_files, commit_all
from agentorchestr.worktree.merging import (
    ComputedMerge,
    commit_tree,
    compute_merge,
    fast_forward,
    move_branch,
    tree_of,
)
from agentorchestr.worktree.repository import branch_tip
from agentorchestr.worktree.setup import apply_setup
from agentorchestr.worktree.worktrees import scratch_worktree

logger = logging.getLogger(__name__)

CHECK_LIMIT_S = 1800.0
CHECK_FOLDER = "check-"
RACES = 3
"""How often a merge is computed anew because somebody else moved the integration branch."""


class Integration:
    """Carries out merges and checks, one at a time, in the order in which they were asked for."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._own_checks: dict[str, asyncio.Task[Verdict]] = {}
        self._checking: set[str] = set()
        self._mark = f"{gear.session_id}:checks"

    @property
    def checking(self) -> bool:
        """Whether checks run, also those nobody waits for any more."""
        return bool(self._checking)

    async def clear_away(self) -> None:
        """End the checks of an older supervisor and remove their worktrees."""
        await offload(end_marked, self._mark)
        for folder in sorted(self._gear.worktrees.glob(f"{CHECK_FOLDER}*")):
            try:
                await offload(gateway.remove_scratch, self._gear.repository, folder)
            except OrchestrError as exc:
                logger.warning("worktree kept", extra={"detail": str(exc)})

    async def ask_merge(self, worker_id: str, *, allow_test_changes: bool) -> str:
        """Queue a merge; the same worker's open one is returned instead of a second."""
        merge_id = f"m-{uuid.uuid4().hex[:6]}"
        fact = f.MergeAsked(merge_id, worker_id, allow_test_changes)
        await self._gear.book.decide(lambda view: [] if _open_merge(view, worker_id) else [fact])
        return _open_merge(self._gear.view, worker_id)

    async def ask_verify(self, commit: str) -> str:
        """Queue a run of the checks on *commit*."""
        verdict_id = f"v-{uuid.uuid4().hex[:6]}"
        await self._gear.book.record(f.VerifyAsked(verdict_id, commit))
        return verdict_id

    async def serve(self) -> None:
        """Work the queue until cancelled; what an older supervisor left open comes first."""
        done = 0
        while True:
            waiting = [item for item in await self._gear.book.facts(after=done, limit=-1) if _asks(item.fact)]
            for item in waiting:
                await self._carry_out(item.fact)
                done = item.seq
            seq = self._gear.view.last_seq
            if not waiting:
                done = max(done, seq)
                await self._gear.book.next_after(seq)

    async def _carry_out(self, fact: f.Fact) -> None:
        view = self._gear.view
        if isinstance(fact, f.MergeAsked) and fact.merge_id in view.merges_open:
            attempt = await self._attempt(fact)
            messages = told_after_merge(view.workers[fact.worker_id], attempt)
            await self._gear.book.record(f.MergeEnded(attempt), *messages)
            logger.info("merge ended", extra={"worker_id": fact.worker_id, "detail": attempt.result.value})
        elif isinstance(fact, f.VerifyAsked) and fact.verdict_id in view.verifies_open:
            verdict = await self._verify(fact.verdict_id, fact.commit)
            await self._gear.book.record(f.VerifyEnded(verdict))

    async def _attempt(self, asked: f.MergeAsked) -> MergeAttempt:
        worker = self._gear.view.workers[asked.worker_id]
        for _ in range(RACES):
            try:
                return await self._merge(asked, worker)
            except RefMoved:
                continue
            except OrchestrError as exc:
                why = f"{exc}. {exc.hint}" if exc.hint else str(exc)
                return MergeAttempt(asked.merge_id, worker.worker_id, MergeResult.ERROR, why=why)
        return MergeAttempt(
            asked.merge_id, worker.worker_id, MergeResult.ERROR, why="the integration branch kept moving"
        )

    async def _merge(self, asked: f.MergeAsked, worker: WorkerView) -> MergeAttempt:
        gear = self._gear
        await self.commit_leftovers(worker)
        ours = await offload(branch_tip, gear.repository, gear.view.integration_branch)
        theirs = await offload(branch_tip, gear.repository, worker.branch)
        if ours is None or theirs is None:
            gone = gear.view.integration_branch if ours is None else worker.branch
            return _attempt(asked, MergeResult.ERROR, why=f"the branch {gone} is gone")
        computed = await offload(compute_merge, gear.repository, ours=ours, theirs=theirs)
        refused = await self._refuse(asked, worker, computed, ours=ours, theirs=theirs)
        if refused is not None:
            return refused
        message = f"Merge {worker.worker_id}: {worker.task.splitlines()[0][:60] if worker.task else ''}"
        commit = await offload(
            commit_tree, gear.repository, tree=computed.tree, parents=(ours, theirs), message=message
        )
        verdict = await self._verify(f"v-{uuid.uuid4().hex[:6]}", commit)
        if verdict.outcome is CheckOutcome.RED:
            why = "the checks fail on the merged tree"
            return _attempt(asked, MergeResult.RED, files=computed.files, verdict=verdict, why=why)
        if verdict.outcome is CheckOutcome.ERROR:
            return _attempt(
                asked, MergeResult.ERROR, files=computed.files, verdict=verdict, why=verdict.problem
            )
        await offload(move_branch, gear.repository, gear.view.integration_branch, new=commit, expected=ours)
        await self._show_lead(commit)
        why = "" if verdict.green else "merged; the project has no checks, so nothing was verified"
        return _attempt(
            asked, MergeResult.MERGED, commit=commit, files=computed.files, verdict=verdict, why=why
        )

    async def _show_lead(self, commit: str) -> None:
        """Bring the lead's worktree to the new tip, so that it reads what was merged."""
        lead = self._gear.view.lead
        if lead is not None and lead.start_commit:
            await offload(fast_forward, Path(lead.worktree), commit)

    async def _refuse(
        self, asked: f.MergeAsked, worker: WorkerView, computed: ComputedMerge, *, ours: str, theirs: str
    ) -> MergeAttempt | None:
        """Why this branch cannot be merged as it is; None when it can."""
        if computed.nothing:
            return _attempt(asked, MergeResult.NOTHING, why=f"{worker.branch} holds nothing new")
        if not self._gear.roles[worker.role].may_edit:
            why = f"the role {worker.role} may not change files; its diff is refused"
            return _attempt(asked, MergeResult.REFUSED, files=computed.files, why=why)
        if computed.conflicts:
            return _attempt(
                asked,
                MergeResult.CONFLICT,
                files=computed.files,
                conflicts=computed.conflicts,
                why="conflicts with what was merged before",
            )
        changes = await offload(changed_files, self._gear.repository, ours, theirs)
        tests = altered_tests([(change.status, change.old_path or change.path) for change in changes])
        if tests and not asked.allow_test_changes:
            why = "it changes existing tests: read its diff; allow_test_changes=true if that is right"
            return _attempt(asked, MergeResult.REFUSED, files=computed.files, tests=tests, why=why)
        return None

    async def commit_leftovers(self, worker: WorkerView) -> None:
        """Commit for a worker what it left uncommitted, so that no work depends on its manners."""
        path = Path(worker.worktree)
        if not await offload(path.is_dir):
            return
        message = f"{worker.worker_id}: work left uncommitted"
        made = await offload(commit_all, path, message=message)
        if made is not None:
            commit, files = made
            await self._gear.book.record(f.WorkCommitted(worker.worker_id, commit, files))

    async def _verify(self, verdict_id: str, commit: str) -> Verdict:
        """Run the session's checks in a clean worktree of *commit*. A failure to run them is an ``error``."""
        try:
            return await offload(self._verify_now, verdict_id, commit)
        except (OrchestrError, OSError) as exc:
            now = self._gear.clock.now()
            return Verdict(verdict_id, commit, "", CheckOutcome.ERROR, (), 0.0, now, problem=str(exc))

    def _verify_now(self, verdict_id: str, commit: str) -> Verdict:
        gear = self._gear
        started, tree = gear.clock.monotonic(), tree_of(gear.repository, commit)
        commands = gear.created.checks
        if not commands:
            return Verdict(verdict_id, commit, tree, CheckOutcome.NO_CHECKS, (), 0.0, gear.clock.now())
        place = gear.worktrees / f"{CHECK_FOLDER}{verdict_id}"
        with self._noted(verdict_id), scratch_worktree(gear.repository, place, commit) as folder:
            done = apply_setup(gear.repository, folder, gear.setup, self._check_environment({}))
            runs = run_checks(
                commands,
                cwd=folder,
                env=self._check_environment(done.env),
                timeout_s=CHECK_LIMIT_S,
            )
        took = gear.clock.monotonic() - started
        return Verdict(verdict_id, commit, tree, outcome_of(runs), runs, took, gear.clock.now())

    @contextlib.contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        self._checking.add(name)
        try:
            yield
        finally:
            self._checking.discard(name)

    def _check_environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        # Marked as the session's, so that its end is the end of a check that hangs.
        return {**self._gear.environment, **extra, MARK_VARIABLE: self._mark}

    async def own_checks(self, worker: WorkerView, *, wait_s: float) -> Verdict | None:
        """Run the checks in a worker's own worktree: help for the worker, never a proof.

        None when they take longer than *wait_s*; they go on, and the next call returns their answer.
        """
        task = self._own_checks.get(worker.worker_id)
        if task is None:
            task = asyncio.create_task(self._run_in(Path(worker.worktree)))
            self._own_checks[worker.worker_id] = task
        ended, _ = await asyncio.wait({task}, timeout=wait_s)
        if not ended:
            return None
        self._own_checks.pop(worker.worker_id, None)
        return task.result()

    async def _run_in(self, folder: Path) -> Verdict:
        commands = self._gear.created.checks
        started = self._gear.clock.monotonic()
        with self._noted(str(folder)):
            runs = await offload(
                run_checks,
                commands,
                cwd=folder,
                env=self._check_environment({}),
                timeout_s=CHECK_LIMIT_S,
            )
        outcome = outcome_of(runs) if commands else CheckOutcome.NO_CHECKS
        took = self._gear.clock.monotonic() - started
        return Verdict("", "", "", outcome, runs, took, self._gear.clock.now())


def verdict_on(view: SessionView, commit: str) -> Verdict | None:
    """The last verdict on exactly this commit."""
    return next((v for v in reversed(view.verdicts) if v.commit == commit), None)


def _asks(fact: f.Fact) -> bool:
    return isinstance(fact, f.MergeAsked | f.VerifyAsked)


def _open_merge(view: SessionView, worker_id: str) -> str:
    return next((merge_id for merge_id, owner in view.merges_open.items() if owner == worker_id), "")


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
