"""The lead's list of what it wants done: what was spawned, merged, given up; kept across a restart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agentorchestr.practice.transcript import Transcript

NOT_EDITING = frozenset({"reviewer", "security", "performance", "verifier", "researcher"})
"""Roles that deliver their summary; there is nothing of theirs to merge."""
SPAWN_KEYS = ("task", "role", "agent", "criteria", "context", "file_scope")


class JobState(StrEnum):
    """How far one task of the lead is."""

    TODO = "todo"
    RUNNING = "running"
    MERGED = "merged"
    FAILED = "failed"


@dataclass
class Job:
    """One task and the worker that has it."""

    key: str
    arguments: Mapping[str, Any]
    allow_test_changes: bool = False
    state: JobState = JobState.TODO
    worker_id: str = ""
    spawns: int = 0
    deaths: int = 0
    merges: int = 0
    nudges: int = 0
    reason: str = ""


def key_of(task: Mapping[str, Any]) -> str:
    """Under which name a task is remembered."""
    return str(task.get("save") or task["task"])


class JobList:
    """The jobs of one lead. Every change of an id or an end is remembered in the transcript."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._jobs: dict[str, Job] = {}

    def add(self, task: Mapping[str, Any]) -> Job:
        """The job for *task*; the same one when it was added before."""
        key = key_of(task)
        if key not in self._jobs:
            arguments = {name: task[name] for name in SPAWN_KEYS if name in task}
            job = Job(key, arguments, allow_test_changes=bool(task.get("allow_test_changes", False)))
            self._jobs[key] = job
            self._recall(job)
        return self._jobs[key]

    def running(self, job: Job, worker_id: str) -> None:
        """*job* is now with *worker_id*."""
        job.worker_id, job.state = worker_id, JobState.RUNNING
        self._transcript.remember(f"worker:{job.key}", worker_id)

    def merged(self, job: Job) -> None:
        """The work of *job* is on the integration branch."""
        job.state = JobState.MERGED
        self._transcript.remember(f"ended:{job.key}", JobState.MERGED)

    def failed(self, job: Job, reason: str) -> None:
        """*job* is given up."""
        job.state, job.reason = JobState.FAILED, reason

    def of_worker(self, worker_id: str) -> Job | None:
        """The job that *worker_id* has."""
        return next((job for job in self._jobs.values() if worker_id and job.worker_id == worker_id), None)

    def like(self, task: str) -> Job | None:
        """The job not yet spawned whose task is *task*, which may have been shortened."""
        shown = task.strip().rstrip("…").strip()
        todo = self.in_state(JobState.TODO)
        return next((job for job in todo if shown and job.arguments["task"].startswith(shown)), None)

    def in_state(self, *states: JobState) -> Sequence[Job]:
        """The jobs in one of *states*, in the order they were added."""
        return [job for job in self._jobs.values() if job.state in states]

    @property
    def settled(self) -> bool:
        """Whether nothing is left to spawn, wait for or merge."""
        return not self.in_state(JobState.TODO, JobState.RUNNING)

    def saved(self) -> Iterator[tuple[str, str]]:
        """The keys with their worker ids, for words in braces."""
        return ((job.key, job.worker_id) for job in self._jobs.values() if job.worker_id)

    def _recall(self, job: Job) -> None:
        names = self._transcript.progress.names
        job.worker_id = names.get(f"worker:{job.key}", "")
        if job.worker_id:
            job.state = JobState.RUNNING
        if names.get(f"ended:{job.key}") == JobState.MERGED:
            job.state = JobState.MERGED
