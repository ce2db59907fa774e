"""Runs of the project's checks: on a commit as proof, in a worker's own worktree as help."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentorchestr.errors import OrchestrError
from agentorchestr.model.states import CheckOutcome
from agentorchestr.model.verdict import Verdict
from agentorchestr.model.view import WorkerView
from agentorchestr.process import MARK_VARIABLE, end_marked, offload
from agentorchestr.supervisor.gear import Gear
from agentorchestr.verify.outcome import outcome_of
from agentorchestr.verify.run import run_checks
from agentorchestr.worktree.merging import tree_of
from agentorchestr.worktree.setup import apply_setup
from agentorchestr.worktree.worktrees import clear_scratch, scratch_worktree, scratch_worktrees

logger = logging.getLogger(__name__)

CHECK_LIMIT_S = 1800.0
CHECK_FOLDER = "check-"


class Checks:
    """Runs the session's checks and knows which run now."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._own: dict[str, asyncio.Task[Verdict]] = {}
        self._running: set[str] = set()
        self._mark = f"{gear.session_id}:checks"

    @property
    def running(self) -> bool:
        """Whether checks run, also those nobody waits for any more."""
        return bool(self._running)

    async def clear_away(self) -> None:
        """End the checks of an older supervisor and remove their worktrees."""
        await offload(end_marked, self._mark)
        for folder in scratch_worktrees(self._gear.worktrees, prefix=CHECK_FOLDER):
            try:
                await offload(clear_scratch, self._gear.repository, folder)
            except OrchestrError as exc:
                logger.warning("worktree kept", extra={"detail": str(exc)})

    async def verify(self, verdict_id: str, commit: str) -> Verdict:
        """Run the checks in a clean worktree of *commit*. A failure to run them is an ``error``."""
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
            done = apply_setup(gear.repository, folder, gear.setup, self._environment({}))
            env = self._environment(done.env)
            runs = run_checks(commands, cwd=folder, env=env, timeout_s=CHECK_LIMIT_S)
        took = gear.clock.monotonic() - started
        return Verdict(verdict_id, commit, tree, outcome_of(runs), runs, took, gear.clock.now())

    async def own(self, worker: WorkerView, extra: Mapping[str, str], *, wait_s: float) -> Verdict | None:
        """Run the checks in a worker's own worktree, *extra* naming its ports: help, never a proof.

        None when they take longer than *wait_s*; they go on, and the next call returns their answer.
        """
        task = self._own.get(worker.worker_id)
        if task is None:
            # Not the caller's child: its client may give up on the call, and ask again for the answer.
            task = asyncio.create_task(self._run_in(Path(worker.worktree), extra))
            self._own[worker.worker_id] = task
        ended, _ = await asyncio.wait({task}, timeout=wait_s)
        if not ended:
            return None
        self._own.pop(worker.worker_id, None)
        return task.result()

    async def _run_in(self, folder: Path, extra: Mapping[str, str]) -> Verdict:
        commands, env = self._gear.created.checks, self._environment(extra)
        started = self._gear.clock.monotonic()
        with self._noted(str(folder)):
            runs = await offload(run_checks, commands, cwd=folder, env=env, timeout_s=CHECK_LIMIT_S)
        outcome = outcome_of(runs) if commands else CheckOutcome.NO_CHECKS
        took = self._gear.clock.monotonic() - started
        return Verdict("", "", "", outcome, runs, took, self._gear.clock.now())

    @contextlib.contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        self._running.add(name)
        try:
            yield
        finally:
            self._running.discard(name)

    def _environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        # Marked as the session's, so that its end is the end of a check that hangs.
        return {**self._gear.environment, **extra, MARK_VARIABLE: self._mark}
