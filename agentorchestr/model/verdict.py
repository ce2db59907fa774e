"""Evidence: what was run on which tree, and what came of it."""

from dataclasses import dataclass

from agentorchestr.model.states import CheckOutcome, MergeResult


@dataclass(frozen=True)
class CheckCommand:
    """One command that checks the project, and where it comes from.

    ``source`` is ``--checks``, a file such as ``.agentorchestr/PROJECT.md``, or ``detected: pytest``.
    ``argv`` runs without a shell; a person's shell line is ``("sh", "-c", line)``.
    """

    argv: tuple[str, ...]
    source: str
    shown: str
    """The command as a person would type it."""
    place: str = ""
    """The folder it runs in, relative to the repository's top; empty: the top itself."""


@dataclass(frozen=True)
class CheckRun:
    """One command that was run. ``counts`` is what its closing line said, e.g. ``12 passed``."""

    shown: str
    exit_code: int
    took_s: float
    counts: str
    tail: str
    """The end of its output, at most 8 kB, undecodable bytes replaced."""
    timed_out: bool = False


@dataclass(frozen=True)
class Verdict:
    """The answer of ``verify``: for one tree, with its evidence."""

    verdict_id: str
    commit: str
    tree: str
    outcome: CheckOutcome
    runs: tuple[CheckRun, ...]
    took_s: float
    at: float
    problem: str = ""
    """Why it is an ``error``: the checks could not be run at all."""

    @property
    def green(self) -> bool:
        """Whether this tree passed."""
        return self.outcome is CheckOutcome.GREEN


@dataclass(frozen=True)
class Conflict:
    """One file that could not be merged, with its hunks between conflict marks (at most 4 kB)."""

    path: str
    kind: str
    """git's own word: ``content``, ``modify/delete``, ``add/add``, ``rename/delete`` …"""
    hunks: str


@dataclass(frozen=True)
class MergeAttempt:
    """How one attempt to bring a worker's branch into the integration branch ended."""

    merge_id: str
    worker_id: str
    result: MergeResult
    commit: str = ""
    """The new integration tip when merged."""
    files: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    altered_tests: tuple[str, ...] = ()
    """Tests that existed before and that this worker changed or deleted."""
    verdict: Verdict | None = None
    why: str = ""
