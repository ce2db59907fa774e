"""Facts in, view out: the only place where a session's state is computed."""

from collections.abc import Iterable
from dataclasses import replace

from agentorchestr.errors import JournalError
from agentorchestr.journal.doubts import doubted_state, with_doubt
from agentorchestr.journal.events import lead_event
from agentorchestr.journal.messages import follow_messages
from agentorchestr.journal.workers import WORKER_FACTS, reduce_worker
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import MergeResult, Outcome, Report
from agentorchestr.model.view import NoteView, SessionView, TaskView, WorkerView

SETTLING = (f.WorkerKilled, f.PaneDied, f.SpawnFailed, f.WorkerQuarantined, f.MergeEnded)
"""After these a worker's claimed tasks may be done, or open again."""


def derive(recorded: Iterable[Recorded]) -> SessionView:
    """The view after all of *recorded*, which begins with ``SessionCreated``.

    Raises ``JournalError`` when there is no such beginning.
    """
    view: SessionView | None = None
    for item in recorded:
        view = step(view, item)
    if view is None:
        raise JournalError("the journal is empty: the session was never created")
    return view


def step(view: SessionView | None, item: Recorded) -> SessionView:
    """The view after one more fact."""
    if view is None:
        if not isinstance(item.fact, f.SessionCreated):
            raise JournalError("the journal does not begin with the session's creation")
        return SessionView(
            created=item.fact,
            created_at=item.at,
            last_seq=item.seq,
            last_at=item.at,
            limit_s=item.fact.timeout_s,
            limit_from=item.at,
        )
    event = lead_event(view, item)
    view = _apply(view, item)
    if event is not None:
        view = replace(view, events=(*view.events, event))
    return replace(view, last_seq=item.seq, last_at=item.at)


def _apply(view: SessionView, item: Recorded) -> SessionView:
    fact = item.fact
    follow_messages(view, item)
    if isinstance(fact, f.WorkerSpawned):
        view.workers[fact.worker_id] = _spawned(fact, item.at)
    elif isinstance(fact, (*WORKER_FACTS, f.WorkerUnclear)):
        _change_worker(view, fact, item.at)
    if isinstance(fact, SETTLING):
        _settle_tasks(view, fact)
    if isinstance(fact, f.TaskAdded | f.TaskClaimed | f.TaskClosed):
        return _task(view, fact)
    if isinstance(fact, f.MergeAsked | f.MergeProven | f.MergeEnded | f.VerifyAsked | f.VerifyEnded):
        return _integration(view, fact)
    return _session(view, item)


def _session(view: SessionView, item: Recorded) -> SessionView:
    match item.fact:
        case f.SupervisorStarted(generation=generation, pid=pid, pid_started=started, port=port):
            return replace(
                view,
                generation=generation,
                supervisor_pid=pid,
                supervisor_started=started,
                port=port,
                tmux_lost=False,  # it runs in that tmux session
            )
        case f.NoteWritten(note_id=note_id, author=author, text=text):
            return replace(view, notes=(*view.notes, NoteView(note_id, item.at, author, text)))
        case f.EventsRead(up_to=up_to, told=told):
            read, again = max(view.events_read, up_to), {seq for seq in view.events_again if seq > up_to}
            unread = frozenset(again - set(told))
            return replace(
                view, events_read=read, events_told=view.events_told | set(told), events_again=unread
            )
        case f.EventsUnsure(seqs=seqs):
            return replace(view, events_again=view.events_again | set(seqs))
        case f.GoalMarked(outcome=outcome, summary=summary, unverified_reason=reason):
            return replace(view, goal_marked=outcome, goal_summary=summary, unverified_reason=reason)
        case f.TmuxLost():
            return replace(view, tmux_lost=True)
        case f.StopAsked():
            return replace(view, stop_asked=True)
        case f.PauseAsked():
            return replace(view, pause_asked=True)
        case f.SessionResumed(timeout_s=timeout_s):
            return _resumed(view, item.at, timeout_s)
        case f.Landed(branch=branch, commit=commit):
            return replace(view, landed=f"{branch} at {commit}", landing_problem="")
        case f.NotOnBus(why=why):
            return replace(view, off_bus=why)
        case f.BrokerTried():
            return replace(view, broker_tried=item.fact, off_bus="")
        case f.LandingFailed(why=why):
            return replace(view, landing_problem=why)
        case f.SessionEnded(outcome=outcome, summary=summary):
            return replace(view, outcome=outcome, ended_at=item.at, end_summary=summary)
        case _:
            return view


def _resumed(view: SessionView, at: float, timeout_s: float | None) -> SessionView:
    """The session goes on; a goal that was marked, or a stop that was asked for, stays."""
    if timeout_s is None:
        limit_s, limit_from = view.limit_s, view.limit_from + max(0.0, at - view.last_at)
    else:
        limit_s, limit_from = timeout_s, at
    on = replace(view, limit_s=limit_s, limit_from=limit_from, pause_asked=False, tmux_lost=False)
    on = replace(on, outcome=None, ended_at=None, end_summary="")
    return replace(on, goal_marked=None, goal_summary="") if view.goal_marked is Outcome.PAUSED else on


def _spawned(fact: f.WorkerSpawned, at: float) -> WorkerView:
    return WorkerView(
        worker_id=fact.worker_id,
        role=fact.role,
        agent=fact.agent,
        task=fact.task,
        criteria=fact.criteria,
        context=fact.context,
        file_scope=fact.file_scope,
        branch=fact.branch,
        worktree=fact.worktree,
        nonce=fact.nonce,
        task_id=fact.task_id,
        resume=fact.resume,
        wanted=True,
        spawned_at=at,
        since=at,
    )


def _change_worker(view: SessionView, fact: f.Fact, at: float) -> None:
    """Apply a fact about one worker; ``since`` moves only when the state does."""
    worker_id = fact.receiver if isinstance(fact, f.MessageQueued) else getattr(fact, "worker_id", "")
    if isinstance(fact, f.MergeEnded):
        worker_id = fact.attempt.worker_id
    before = view.workers.get(worker_id)
    if before is None:
        return
    after = with_doubt(reduce_worker(before, fact), fact)
    if isinstance(fact, f.WorkerRevived):
        after = replace(after, spawned_at=at)
    if isinstance(fact, f.WorkerReported):
        after = replace(after, reported_at=at)
    if isinstance(fact, f.ProgressNoted) and fact.quiet_s:
        after = replace(after, quiet_until=at + fact.quiet_s)
    state = doubted_state(after)
    since = before.since if state is before.state else at
    view.workers[worker_id] = replace(after, state=state, since=since)


def _task(view: SessionView, fact: f.TaskAdded | f.TaskClaimed | f.TaskClosed) -> SessionView:
    if isinstance(fact, f.TaskAdded):
        view.tasks[fact.task_id] = TaskView(
            fact.task_id, fact.title, fact.detail, fact.criteria, fact.after, fact.author
        )
        return view
    task = view.tasks.get(fact.task_id)
    if task is None:
        return view
    if isinstance(fact, f.TaskClaimed):
        view.tasks[fact.task_id] = replace(task, owner=task.owner or fact.worker_id)
    else:
        view.tasks[fact.task_id] = replace(task, report=fact.report)
    return view


def _settle_tasks(view: SessionView, fact: f.Fact) -> None:
    """A merge closes its worker's tasks; a worker that is gone without a result gives them back."""
    worker_id = fact.attempt.worker_id if isinstance(fact, f.MergeEnded) else getattr(fact, "worker_id", "")
    worker = view.workers.get(worker_id)
    if worker is not None and worker.comes_back:
        return
    merged = isinstance(fact, f.MergeEnded) and fact.attempt.result is MergeResult.MERGED
    gone = not isinstance(fact, f.MergeEnded) and (worker is None or worker.report is not Report.DONE)
    for task in tuple(view.tasks.values()):
        if task.owner != worker_id or task.report is not None:
            continue
        if merged:
            view.tasks[task.task_id] = replace(task, report=Report.DONE)
        elif gone:
            view.tasks[task.task_id] = replace(task, owner="")


def _integration(
    view: SessionView, fact: f.MergeAsked | f.MergeProven | f.MergeEnded | f.VerifyAsked | f.VerifyEnded
) -> SessionView:
    match fact:
        case f.MergeAsked(merge_id=merge_id, worker_id=worker_id):
            view.merges_open[merge_id] = worker_id
            return view
        case f.MergeProven(attempt=attempt):
            view.merges_proven[attempt.merge_id] = fact
            return view
        case f.MergeEnded(attempt=attempt):
            view.merges_open.pop(attempt.merge_id, None)
            view.merges_proven.pop(attempt.merge_id, None)
            verdicts = view.verdicts if attempt.verdict is None else (*view.verdicts, attempt.verdict)
            return replace(view, merges=(*view.merges, attempt), verdicts=verdicts)
        case f.VerifyAsked(verdict_id=verdict_id):
            return replace(view, verifies_open=(*view.verifies_open, verdict_id))
        case f.VerifyEnded(verdict=verdict):
            still = tuple(v for v in view.verifies_open if v != verdict.verdict_id)
            return replace(view, verifies_open=still, verdicts=(*view.verdicts, verdict))
