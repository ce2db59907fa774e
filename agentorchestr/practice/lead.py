"""The lead's policy: spawn all tasks, merge whoever is done, verify, finish. Never without an end."""

import time
from collections.abc import Mapping
from typing import Any

from agentorchestr.practice.console import pause
from agentorchestr.practice.mcp_client import McpError, McpLost, ToolFailed
from agentorchestr.practice.scenario import LeadPlan, Step
from agentorchestr.practice.tasks import NOT_EDITING, Job, JobList, JobState, key_of
from agentorchestr.practice.work import StepFailed, TurnEnds, Work

MOST_SPAWNS = 2
MOST_DEATHS = 2
MOST_MERGES = 5
MOST_NUDGES = 3
MOST_LOST_CALLS = 20
VERIFY_LIMIT_S = 900.0
NUDGE = "Please report: call report_done, report_blocked or report_failed."
Event = Mapping[str, Any]


class Lead:
    """What the lead knows across its turns, and its steps."""

    def __init__(self, work: Work, plan: LeadPlan, *, resumed: bool) -> None:
        self._work = work
        self._plan = plan
        self._jobs = JobList(work.transcript)
        self._look_first = resumed
        self._deadline = time.monotonic() + plan.give_up_after_s
        self._outcome = ""
        self._quiet_since: float | None = None
        self._lost_calls = 0
        self.finished = False
        self._recall_spawned()

    def perform(self, step: Step) -> None:
        """Do one of the steps only a lead has."""
        match step.do:
            case "run_tasks":
                self._run_tasks()
            case "spawn":
                self._spawn(self._jobs.add(step.args))
            case "wait_any":
                self._settle_all()
            case "verify":
                self._verify()
            case _:
                self._finish(step.args)

    def _recall_spawned(self) -> None:
        """After a restart: the workers of ``spawn`` steps that are behind us are still ours to merge."""
        names = self._work.transcript.progress.names
        for step in (step for turn in self._plan.turns for step in turn.steps if step.do == "spawn"):
            if f"worker:{key_of(step.args)}" in names:
                self._jobs.add(step.args)
        self._work.names.update(self._jobs.saved())

    def give_up(self, reason: str) -> None:
        """End the goal as failed."""
        self.finished = True
        self._work.say(f"I give up: {reason}")
        self._work.call("mark_goal_failed", reason=reason)

    def _run_tasks(self) -> None:
        for task in self._plan.tasks:
            self._jobs.add(task)
        self._settle_all()
        lost = self._jobs.in_state(JobState.FAILED)
        if lost:
            self.give_up("; ".join(f"{job.key}: {job.reason}" for job in lost))
            return
        self._verify()
        self._finish({})

    def _settle_all(self) -> None:
        while not self._jobs.settled:
            if self._look_first:
                self._look_first = False
                self._adopt()
            for job in self._jobs.in_state(JobState.TODO):
                self._spawn(job)
            if not self._jobs.settled:
                self._wait_once()

    def _adopt(self) -> None:
        """After a restart: find the workers we spawned before, and merge who got done meanwhile."""
        for row in _rows(self._work.call("list_workers"), "workers"):
            worker_id = str(row.get("worker_id", ""))
            job = self._jobs.of_worker(worker_id) or self._jobs.like(str(row.get("task", "")))
            if job is None or job.state is JobState.MERGED:
                continue
            self._jobs.running(job, worker_id)
            if row.get("merged"):
                self._jobs.merged(job)
            self._take({"kind": str(row.get("state", "")), "worker_id": worker_id})

    def _spawn(self, job: Job) -> None:
        if job.state is not JobState.TODO:
            return
        job.spawns += 1
        try:
            answer = self._work.call("spawn_worker", **self._work.fill(dict(job.arguments)))
        except McpLost:
            # It may have been carried out; the list of workers knows.
            self._look_first = True
            self._retry_or_fail(job, "the connection broke during spawn_worker")
        except McpError as exc:
            self._retry_or_fail(job, str(exc))
        else:
            worker_id = str(answer.get("worker_id", ""))
            self._jobs.running(job, worker_id)
            self._work.names.update(self._jobs.saved())
            self._work.say(f"{worker_id} works on: {job.arguments['task'].splitlines()[0][:100]}")
        self._work.think(0.3)

    def _retry_or_fail(self, job: Job, reason: str) -> None:
        job.state, job.worker_id = JobState.TODO, ""
        # With others at work the refusal may be a limit that goes away with them.
        if job.spawns >= MOST_SPAWNS and not self._jobs.in_state(JobState.RUNNING):
            self._jobs.failed(job, reason)

    def _died(self, job: Job, reason: str) -> None:
        job.deaths += 1
        if job.deaths < MOST_DEATHS:
            job.state, job.worker_id = JobState.TODO, ""
        else:
            self._jobs.failed(job, reason)

    def _wait_once(self) -> None:
        began = time.monotonic()
        if began > self._deadline:
            raise StepFailed(f"nothing came of it within {self._plan.give_up_after_s:g} s")
        answer = self._ask_for_events(1.0 if self._plan.woken else self._plan.wait_s)
        events = _rows(answer, "events")
        for event in events:
            self._take(event)
        if events:
            self._quiet_since = None
        elif self._plan.woken and answer.get("running"):
            self._work.say("I end my turn until somebody needs me.")
            raise TurnEnds(stay=True)
        else:
            self._nothing_came(answer, took_s=time.monotonic() - began)

    def _ask_for_events(self, timeout_s: float) -> Mapping[str, Any]:
        try:
            return self._work.call("wait_for_any", timeout_s=timeout_s)
        except ToolFailed:
            # "Nothing runs": a worker may just be about to be woken by what it was told.
            return {}
        except McpError as exc:
            self._lost_calls += 1
            if self._lost_calls > MOST_LOST_CALLS:
                raise StepFailed(f"wait_for_any does not work: {exc}") from exc
            pause(self._work.console, 0.5)
            return {"running": ["unknown"]}

    def _nothing_came(self, answer: Mapping[str, Any], *, took_s: float) -> None:
        now = time.monotonic()
        self._quiet_since = None if answer.get("running") else self._quiet_since or now
        if self._quiet_since is not None and now - self._quiet_since >= self._plan.idle_limit_s:
            for job in self._jobs.in_state(JobState.RUNNING):
                self._jobs.failed(job, "it runs no more and never was merged")
        if took_s < 0.2:  # noqa: PLR2004 -- a server that answers at once must not make us spin
            pause(self._work.console, 0.5)

    def _take(self, event: Event) -> None:
        kind = str(event.get("kind", ""))
        if kind == "verify":
            self._outcome = str(event.get("outcome") or event.get("result") or "")
            return
        job = self._jobs.of_worker(str(event.get("worker_id", "")))
        if job is None or job.state is not JobState.RUNNING:
            return
        self._work.note(f"{job.worker_id}: {kind} {event.get('result') or event.get('text') or ''}".strip())
        match kind:
            case "done" if job.arguments.get("role") in NOT_EDITING:
                self._jobs.merged(job)
            case "done":
                self._merge(job)
            case "merge":
                self._merge_ended(job, str(event.get("result", "")), _why(event))
            case "dead" | "spawn_failed":
                self._died(job, f"{job.worker_id}: {kind}")
            case "blocked" | "failed":
                self._jobs.failed(job, _why(event) or kind)
            case "question":
                self._tell(job, "Decide it yourself, as you think best.")
            case "idle":
                self._tell(job, NUDGE)

    def _tell(self, job: Job, text: str) -> None:
        job.nudges += 1
        if job.nudges > MOST_NUDGES:
            self._jobs.failed(job, "it never reported")
            return
        try:
            self._work.call("send_to_worker", worker_id=job.worker_id, message=text)
        except McpError:
            return

    def _merge(self, job: Job) -> None:
        job.merges += 1
        if job.merges > MOST_MERGES:
            self._jobs.failed(job, f"not merged after {MOST_MERGES} attempts")
            return
        options = {"allow_test_changes": True} if job.allow_test_changes else {}
        try:
            answer = self._work.call("merge_worker", worker_id=job.worker_id, **options)
        except McpLost:
            return
        except McpError as exc:
            self._jobs.failed(job, f"merge_worker: {exc}")
            return
        self._merge_ended(job, str(answer.get("result", "")), _why(answer))

    def _merge_ended(self, job: Job, result: str, why: str) -> None:
        match result:
            case "merged" | "nothing":
                self._jobs.merged(job)
                self._work.say(
                    f"{job.worker_id} is merged" if result == "merged" else f"{job.worker_id} changed nothing"
                )
            case "conflict" | "red":
                self._work.say(f"{job.worker_id}: {result}; it has been told and will report again")
            case "refused":
                self._jobs.failed(job, f"the merge was refused: {why or 'no reason given'}")
            case "error":
                self._merge(job)
        self._work.think(0.3)

    def _verify(self) -> None:
        self._work.say("Verifying the merged result.")
        answer = self._work.call("verify")
        self._outcome = str(answer.get("outcome") or "")
        deadline = time.monotonic() + VERIFY_LIMIT_S
        while self._outcome in {"running", ""}:
            if time.monotonic() > deadline:
                raise StepFailed(f"no verdict within {VERIFY_LIMIT_S:g} s")
            began = time.monotonic()
            for event in _rows(self._ask_for_events(self._plan.wait_s), "events"):
                self._take(event)
            if time.monotonic() - began < 0.2 and self._outcome in {"running", ""}:  # noqa: PLR2004 -- as above
                pause(self._work.console, 0.5)
        self._work.note(f"verdict: {self._outcome}")

    def _finish(self, args: Mapping[str, Any]) -> None:
        if args.get("failed"):
            self.give_up(str(args.get("reason", "the scenario says so")))
            return
        if self._outcome in {"red", "error"}:
            self.give_up(f"the checks of the merged result ended {self._outcome}")
            return
        reason = {"unverified_reason": "the project has no checks"} if self._outcome == "no_checks" else {}
        summary = self._work.fill(str(args.get("summary", self._plan.summary)))
        try:
            self._work.call("mark_goal_done", summary=summary, **reason)
        except McpError as exc:
            self.give_up(f"mark_goal_done was refused: {exc}")
            return
        self.finished = True
        self._work.say(summary)


def _why(answer: Mapping[str, Any]) -> str:
    """The reason in an answer, whatever it is called there."""
    found = (answer.get(key) for key in ("why", "reason", "text", "problem"))
    return next((str(text) for text in found if text), "")


def _rows(answer: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = answer.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
