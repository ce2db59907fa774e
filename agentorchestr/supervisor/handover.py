"""Collect what an agent that goes on has to know: from git, from the journal, from no model."""

from pathlib import Path

from agentorchestr.context.handover import Handover
from agentorchestr.errors import GitError
from agentorchestr.model.verdict import MergeAttempt, Verdict
from agentorchestr.model.view import MessageView, SessionView, WorkerView
from agentorchestr.supervisor.cuts import end_of, start_of
from agentorchestr.worktree.progress import commits_since, work_since

EVIDENCE_CHARS = 5000
NOTES = 10


def collect(view: SessionView, worker: WorkerView, *, same: bool, tree: str) -> Handover:
    """What is known of *worker*'s work; *tree* tells what became of its worktree. Reads git."""
    commits, changes = ("", "") if same or worker.is_lead else _work(worker)
    return Handover(
        same_conversation=same,
        tree=tree,
        commits=commits,
        changes=changes,
        notes=_notes(view, worker),
        questions=tuple(_asked(message) for message in open_questions(view, worker)),
        last_result=_last_result(view, worker),
        reported=f"{worker.report}: {worker.summary}" if worker.report is not None else "",
        unread=len(view.unread_of(worker.worker_id)),
    )


def _work(worker: WorkerView) -> tuple[str, str]:
    path = Path(worker.worktree)
    try:
        return commits_since(path, worker.start_commit), work_since(path, worker.start_commit)
    except (GitError, OSError) as exc:
        return "", f"git cannot tell: {exc}"


def _notes(view: SessionView, worker: WorkerView) -> tuple[str, ...]:
    shared = [f"{note.author}: {note.text}" for note in view.notes[-NOTES:]]
    last = worker.last_note if worker.last_note != worker.summary else ""
    return (*shared, f"its last word: {last}") if last else tuple(shared)


def open_questions(view: SessionView, worker: WorkerView) -> list[MessageView]:
    """Questions that *worker* asked, or is asked, with no message after them from the other side."""
    found = []
    talk = [m for m in view.messages.values() if worker.worker_id in (m.sender, m.receiver)]
    for number, message in enumerate(talk):
        back = any(later.sender == message.receiver for later in talk[number + 1 :])
        if message.question and not back:
            found.append(message)
    return found


def _asked(message: MessageView) -> str:
    return f"{message.sender} to {message.receiver}: {start_of(message.body, EVIDENCE_CHARS)}"


def _last_result(view: SessionView, worker: WorkerView) -> str:
    mine = [one for one in view.merges if worker.is_lead or one.worker_id == worker.worker_id]
    if not mine:
        return ""
    last = mine[-1]
    return "\n".join(part for part in (_of_merge(last), _of_checks(last.verdict)) if part)


def _of_merge(last: MergeAttempt) -> str:
    conflicts = "\n".join(f"{one.path} ({one.kind})\n{one.hunks}" for one in last.conflicts)
    why = f": {last.why}" if last.why else ""
    return start_of(f"merge of {last.worker_id}: {last.result}{why}\n{conflicts}".rstrip(), EVIDENCE_CHARS)


def _of_checks(verdict: Verdict | None) -> str:
    failed = (
        [run for run in verdict.runs if run.exit_code != 0 or run.timed_out] if verdict is not None else []
    )
    return end_of("\n".join(f"$ {run.shown}\n{run.tail}" for run in failed), EVIDENCE_CHARS)
