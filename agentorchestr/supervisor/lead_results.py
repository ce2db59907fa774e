"""The lead's tools for results: diff, merge, verify, reviews, and the end of the goal."""

from collections.abc import Sequence

from agentorchestr.errors import ToolRefused
from agentorchestr.model import facts as f
from agentorchestr.model.states import LEAD, CheckOutcome, Outcome
from agentorchestr.model.verdict import Verdict
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.process import offload
from agentorchestr.supervisor import told
from agentorchestr.supervisor.cuts import some, start_of
from agentorchestr.supervisor.desk import Reply
from agentorchestr.supervisor.integration import verdict_on
from agentorchestr.supervisor.lead_verbs import SteeringVerbs
from agentorchestr.supervisor.replies import merge_line, verdict_line
from agentorchestr.worktree.committing import diff_text
from agentorchestr.worktree.merging import commit_tree, compute_merge
from agentorchestr.worktree.repository import branch_tip


class LeadDesk(SteeringVerbs):
    """All of the lead's tools."""

    async def review_diff(self, worker_id: str, *, paths: Sequence[str], stat_only: bool) -> Reply:
        """The worker's changes against the integration branch, committed or not."""
        worker = self._worker(worker_id)
        await self._commit_if_quiet(worker)
        text = await offload(
            diff_text,
            self._gear.repository,
            self._gear.view.integration_branch,
            worker.branch,
            paths=tuple(paths),
            stat_only=stat_only,
        )
        reply = {"worker_id": worker_id, "branch": worker.branch, "diff (data)": text or "no changes"}
        return (
            {**reply, "note": "it is at work: only what it committed is shown"} if worker.in_turn else reply
        )

    async def _commit_if_quiet(self, worker: WorkerView) -> None:
        """Commit what a worker left; one that is in a turn has its hands in the tree."""
        if not worker.in_turn:
            await self._integration.commit_leftovers(worker)

    async def merge_worker(self, worker_id: str, *, allow_test_changes: bool) -> Reply:
        """Queue the merge and answer with its end, or with ``running`` when it takes longer."""
        worker = self._worker(worker_id)
        if not worker.start_commit:
            raise ToolRefused(f"{worker_id} has no worktree yet", hint="Wait for it with wait_for_any.")
        merge_id = await self._integration.ask_merge(worker_id, allow_test_changes=allow_test_changes)

        def ended(view: SessionView) -> bool:
            return merge_id not in view.merges_open

        if not await self._book.wait_until(ended, timeout_s=self._bounded(0)):
            return {"merge_id": merge_id, "result": "running", "next": "its end comes with wait_for_any"}
        await self._consume(lambda event: event.merge is not None and event.merge.merge_id == merge_id)
        attempt = next(a for a in reversed(self._gear.view.merges) if a.merge_id == merge_id)
        return merge_line(attempt)

    async def verify(self, *, worker_id: str) -> Reply:
        """Run the checks on the integration tip, or on what it would be with *worker_id* merged."""
        commit = await offload(self._preview, self._worker(worker_id)) if worker_id else await self._tip()
        verdict_id = await self._integration.ask_verify(commit)

        def ended(view: SessionView) -> bool:
            return verdict_id not in view.verifies_open

        if not await self._book.wait_until(ended, timeout_s=self._bounded(0)):
            return {"verdict_id": verdict_id, "outcome": "running", "next": "its end comes with wait_for_any"}
        await self._consume(
            lambda event: event.verdict is not None and event.verdict.verdict_id == verdict_id
        )
        verdict = next(v for v in reversed(self._gear.view.verdicts) if v.verdict_id == verdict_id)
        return verdict_line(verdict)

    async def _tip(self) -> str:
        tip = await offload(branch_tip, self._gear.repository, self._gear.view.integration_branch)
        if tip is None:
            raise ToolRefused(
                "the integration branch is gone", hint="Somebody deleted it: mark the goal failed."
            )
        return tip

    def _preview(self, worker: WorkerView) -> str:
        """A commit of the merged tree that no branch points to."""
        repository = self._gear.repository
        ours = branch_tip(repository, self._gear.view.integration_branch)
        theirs = branch_tip(repository, worker.branch)
        if ours is None or theirs is None:
            raise ToolRefused(f"{worker.worker_id} has no branch yet", hint="Wait for it with wait_for_any.")
        computed = compute_merge(repository, ours=ours, theirs=theirs)
        if computed.conflicts:
            files = ", ".join(some([conflict.path for conflict in computed.conflicts], 10))
            raise ToolRefused(f"it conflicts in {files}", hint="merge_worker gives the hunks to its worker.")
        return commit_tree(repository, tree=computed.tree, parents=(ours, theirs), message="preview")

    async def cross_review(self, worker_a: str, worker_b: str, *, focus: str) -> Reply:
        """Ask two workers to review each other's branch; each answers with a new report."""
        pair = (self._worker(worker_a), self._worker(worker_b))
        if worker_a == worker_b:
            raise ToolRefused("a worker cannot review itself", hint="Name two workers.")
        for worker in pair:
            if not worker.alive:
                raise ToolRefused(f"{worker.worker_id} is {worker.state}", hint="Spawn a reviewer instead.")
        for worker in pair:
            await self._commit_if_quiet(worker)
        asked = [_review_order(self._gear.view, a, b, focus) for a, b in (pair, pair[::-1])]
        await self._book.record(*asked)
        return {"asked": [worker_a, worker_b], "next": "each review comes as its reviewer's next report"}

    async def list_perspectives(self) -> Reply:
        """The roles a worker can have."""
        return {
            "perspectives": [
                {"name": role.name, "title": role.title, "may_edit": role.may_edit}
                for role in self._gear.roles.values()
            ]
        }

    async def mark_goal_done(self, summary: str, *, unverified_reason: str) -> Reply:
        """End the session as done, if the integration tip passed; unverified, if the lead says why."""
        tip = await self._tip()

        def choose(view: SessionView) -> Sequence[f.Fact]:
            self._check_open(view)
            if view.merges_open or view.verifies_open:
                raise ToolRefused("a merge or verify still runs", hint="Wait for its end with wait_for_any.")
            verdict = verdict_on(view, tip)
            if verdict is not None and verdict.green:
                return [f.GoalMarked(Outcome.DONE, summary)]
            if not unverified_reason.strip():
                raise ToolRefused(f"the goal is not proven: {_unproven(verdict)}", hint=_next_step(verdict))
            return [f.GoalMarked(Outcome.UNVERIFIED, summary, unverified_reason)]

        recorded = await self._book.decide(choose)
        return {"recorded": True, "outcome": getattr(recorded[0].fact, "outcome", "")}

    async def mark_goal_failed(self, reason: str) -> Reply:
        """End the session as failed; all branches stay."""

        def choose(view: SessionView) -> Sequence[f.Fact]:
            self._check_open(view)
            return [f.GoalMarked(Outcome.FAILED, reason)]

        await self._book.decide(choose)
        return {"recorded": True, "outcome": Outcome.FAILED.value}


def _unproven(verdict: Verdict | None) -> str:
    if verdict is None:
        return "the integration branch was not verified as it is now"
    if verdict.outcome is CheckOutcome.NO_CHECKS:
        return "the project has no checks"
    return f"its last verdict is {verdict.outcome}"


def _next_step(verdict: Verdict | None) -> str:
    if verdict is None:
        return "Call verify, then try again."
    if verdict.outcome is CheckOutcome.NO_CHECKS:
        return "Give unverified_reason; it is recorded and shown to the person."
    return "Have it corrected and merged, then verify; or give unverified_reason, or call mark_goal_failed."


def _review_order(view: SessionView, reviewer: WorkerView, author: WorkerView, focus: str) -> f.MessageQueued:
    base = view.integration_branch
    return told.message(
        reviewer.worker_id,
        f"Review the work of {author.worker_id} with a view to {focus}: "
        f"`git diff {base}...{author.branch}` in your worktree. "
        f"Its task was (data): {start_of(author.task, 500)}\n"
        "Change no file for it. Then report done; the summary is your verdict: approve or change, and each "
        "finding as file:line and one sentence.",
        sender=LEAD,
    )
