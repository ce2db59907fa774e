"""What came of a run: the accepted tree, and whether every fact, task, worker and file is accounted for."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from agentorchestr.clock import until
from agentorchestr.model import facts as f
from agentorchestr.model.states import MergeResult, Outcome, WorkerState
from agentorchestr.model.view import SessionView
from agentorchestr.process import marked
from scripts.chaos.crash_home import TASKS, Home

if TYPE_CHECKING:
    from scripts.chaos.crash_run import Run

ENDS_WITHIN_S = 30.0
RESULTS = frozenset({MergeResult.CONFLICT, MergeResult.RED})


@dataclass
class Found:
    """What one run shows. All but the first, the counts of facts and the time must be empty or 0."""

    tree: str = ""
    """The files of the integration branch, as git names them."""
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    facts: int = 0
    resumes: int = 0
    killed: tuple[str, ...] = ()
    """What was killed indeed."""
    recovered_s: float | None = None
    took_s: float = 0.0

    @property
    def problems(self) -> list[str]:
        """Everything that must not be, one line each."""
        kinds = ("lost", "twice", "duplicated", "unexplained", "left")
        return [f"{kind}: {what}" for kind in kinds for what in getattr(self, kind)]


def judge(run: "Run") -> Found:
    """Look at everything once the session is over; a session that did not end is not explained."""
    found = Found(duplicated=list(run.doubled), facts=len(run.recorded), resumes=run.resumes)
    found.killed = tuple(run.killer.done)
    found.recovered_s = run.recovery.took_s if run.recovery is not None else None
    if run.view is None:
        found.unexplained.append("there is no session")
        return found
    view, home = run.view, run.home
    found.took_s = view.last_at - view.created_at
    if view.outcome is not Outcome.DONE:
        found.unexplained.append(f"it ended {view.outcome}, its command {run.exit_code}: {view.goal_summary}")
        return found
    found.tree = home.git("rev-parse", f"{view.integration_branch}^{{tree}}")
    found.lost += [word for word in TASKS if not _accepted(view, word)]
    found.twice += [*_done_twice(run, view), *_told_twice(run, view)]
    found.duplicated += _same_task(view)
    found.unexplained += [*_of_journal(run), *_of_workers(run, view), *_of_intents(view)]
    found.left += _left(home, view)
    return found


def _accepted(view: SessionView, word: str) -> bool:
    return any(worker.task == f"make {word}" and worker.merged for worker in view.team)


def _done_twice(run: "Run", view: SessionView) -> Iterator[str]:
    merged = Counter(each.worker_id for each in view.merges if each.result is MergeResult.MERGED)
    yield from (f"{worker_id} was accepted {n} times" for worker_id, n in merged.items() if n > 1)
    made = run.home.git("rev-list", "--count", "--first-parent", f"main..{view.integration_branch}")
    if int(made) != len(TASKS):
        yield f"{made} commits on the integration branch for {len(TASKS)} tasks"
    marks = sum(isinstance(each.fact, f.GoalMarked) for each in run.recorded)
    paused = sum(
        isinstance(each.fact, f.GoalMarked) and each.fact.outcome is Outcome.PAUSED for each in run.recorded
    )
    if marks - paused != 1:
        yield f"the goal was marked {marks - paused} times"


def _told_twice(run: "Run", view: SessionView) -> Iterator[str]:
    """A message is read once, unless the journal says that the reply may have been lost."""
    read: Counter[str] = Counter()
    for each in run.recorded:
        if isinstance(each.fact, f.MessagesRead):
            read.update(each.fact.message_ids)
        elif isinstance(each.fact, f.ReplyUnsure):
            read.subtract(each.fact.message_ids)
    yield from (f"message {message_id} was read {n} times" for message_id, n in read.items() if n > 1)
    told = Counter(m.receiver for m in view.messages.values() if m.sender == "supervisor")
    failed = Counter(each.worker_id for each in view.merges if each.result in RESULTS)
    for worker_id in told:
        if told[worker_id] > failed[worker_id]:
            yield f"{worker_id} was told {told[worker_id]} times of {failed[worker_id]} merges that failed"


def _same_task(view: SessionView) -> Iterator[str]:
    tasks = Counter(worker.task for worker in view.team)
    yield from (f"{n} workers for {task}" for task, n in tasks.items() if n > 1)


def _of_journal(run: "Run") -> Iterator[str]:
    kept = run.home.facts(after=0)
    if kept[: len(run.recorded)] != run.recorded:
        yield "facts that were stored are gone or others"
    started = [each.fact.generation for each in kept if isinstance(each.fact, f.SupervisorStarted)]
    if started != sorted(set(started)):
        yield f"generations {started}"
    ended = [each for each in kept if isinstance(each.fact, f.SessionEnded)]
    if not ended or ended[-1].seq != kept[-1].seq:
        yield f"the last fact is {type(kept[-1].fact).__name__}"
    if run.exit_code != 0 and not (run.killer.done and run.exit_code is not None):
        yield f"the command ended {run.exit_code}"


def _of_workers(run: "Run", view: SessionView) -> Iterator[str]:
    for worker in view.team:
        if worker.state is not WorkerState.DONE or worker.killed or worker.quarantined:
            yield f"{worker.worker_id} is {worker.state}: {worker.last_note}"
    hit = Counter(run.killer.hit)
    for each in run.recorded:
        fact = each.fact
        if isinstance(fact, f.SpawnFailed | f.WorkerStalled | f.WorkerUnclear):
            yield f"{fact.worker_id}: {type(fact).__name__}, {fact.why}"
        if isinstance(fact, f.WorkerKilled):
            yield f"{fact.worker_id} was ended by {fact.by}"
        if isinstance(fact, f.PaneDied) and not fact.from_outside and not _ending(run, each.seq):
            hit[fact.worker_id] -= 1
    with_all = bool({"tmux server", "all"} & set(run.killer.done))
    for worker_id, n in hit.items():
        if n < 0 and not with_all:
            yield f"{worker_id} died {-n} times more than it was killed"


def _ending(run: "Run", seq: int) -> bool:
    return any(isinstance(each.fact, f.GoalMarked) for each in run.recorded if each.seq < seq)


def _of_intents(view: SessionView) -> Iterator[str]:
    """Whatever was begun came to an end."""
    yield from (f"{worker.worker_id} was to be started" for worker in view.workers.values() if worker.wanted)
    yield from (f"merge {merge_id} is open" for merge_id in view.merges_open)
    yield from (f"verify {verdict_id} is open" for verdict_id in view.verifies_open)
    for message in view.messages.values():
        # One that was handed over again, marked so, may be known: then there is nothing to act on.
        known = message.again and message.read_at is not None
        if message.sender == "supervisor" and message.acted_at is None and not known:
            yield f"{message.receiver} did not act on {message.message_id}: it is {message.step}"


def _left(home: Home, view: SessionView) -> Iterator[str]:
    """Processes, worktrees, branches and secrets that should have gone with the session."""
    until(lambda: not marked(view.session_id), within_s=ENDS_WITHIN_S, every_s=0.2)
    for pid in marked(view.session_id):
        try:
            yield f"process {pid}: {' '.join(psutil.Process(pid).cmdline())[:100]}"
        except psutil.Error:
            continue
    trees = home.git("worktree", "list", "--porcelain").count("worktree ")
    if trees != 1:
        yield f"{trees - 1} worktrees"
    branches = home.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    yield from (f"branch {each}" for each in branches if each not in {"main", view.integration_branch})
    if home.git("status", "--porcelain"):
        yield "changes in the person's own tree"
    run_folder = home.paths.session_run(view.session_id)
    kept = [place.name for place in run_folder.iterdir()] if run_folder.is_dir() else []
    yield from (f"in its run folder: {name}" for name in kept if name != "finished")
    if (home.paths.session(view.session_id) / "secret").exists():
        yield "its secret"
