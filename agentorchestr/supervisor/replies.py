"""Views and events as small JSON objects for a model to read; text of agents stays marked as theirs."""

from collections.abc import Sequence

from agentorchestr.model.states import CheckOutcome
from agentorchestr.model.verdict import CheckRun, MergeAttempt, Verdict
from agentorchestr.model.view import LeadEvent, MessageView, NoteView, SessionView, TaskView, WorkerView
from agentorchestr.supervisor.cuts import end_of, some, start_of
from agentorchestr.supervisor.desk import Reply
from agentorchestr.supervisor.wording import TEXT
from agentorchestr.swarm.artifacts import ARTIFACT_TYPE, ArtifactRef, ref_of

NOTE_CHARS = 300
TASK_CHARS = 120
TAIL_CHARS = 1500
FILES_NAMED = 50


def worker_line(worker: WorkerView, *, now: float) -> dict[str, object]:
    """One worker in a listing."""
    line: dict[str, object] = {
        "worker_id": worker.worker_id,
        "role": worker.role,
        "agent": worker.agent,
        "state": worker.state.value,
        "since_s": round(now - worker.since),
        "task": start_of(worker.task, TASK_CHARS),
    }
    if worker.last_note:
        line["note"] = start_of(worker.last_note, NOTE_CHARS)
    if worker.asks:
        line["asks"] = start_of(worker.asks, NOTE_CHARS)
    if worker.merged:
        line["merged"] = True
    return line


def event_line(event: LeadEvent) -> dict[str, object]:
    """One event for the lead."""
    line: dict[str, object] = {"kind": event.kind}
    if event.worker_id:
        line["worker_id"] = event.worker_id
    if event.merge is not None:
        return {**line, **merge_line(event.merge)}
    if event.verdict is not None:
        return {**line, **verdict_line(event.verdict)}
    return {**line, "text": event.text}


def merge_line(attempt: MergeAttempt) -> dict[str, object]:
    """How a merge ended, with what the lead needs to act on it."""
    line: dict[str, object] = {
        "merge_id": attempt.merge_id,
        "worker_id": attempt.worker_id,
        "result": attempt.result.value,
        "files": some(attempt.files, FILES_NAMED),
    }
    if attempt.why:
        line["why"] = attempt.why
    if attempt.conflicts:
        named = [{"path": c.path, "kind": c.kind} for c in attempt.conflicts[:FILES_NAMED]]
        left = len(attempt.conflicts) - FILES_NAMED
        line["conflicts"] = [*named, {"path": f"[cut: {left} more]", "kind": ""}] if left > 0 else named
        line["next"] = "its worker was given the hunks and will report again"
    if attempt.altered_tests:
        line["altered_tests"] = some(attempt.altered_tests, FILES_NAMED)
    if attempt.verdict is not None:
        line["checks"] = verdict_line(attempt.verdict)
        if attempt.verdict.outcome is CheckOutcome.RED:
            line["next"] = "its worker was given the output and will report again"
    return line


def verdict_line(verdict: Verdict) -> dict[str, object]:
    """What our own run of the checks says."""
    line: dict[str, object] = {
        "outcome": verdict.outcome.value,
        "runs": [run_line(run) for run in verdict.runs],
    }
    if verdict.verdict_id:
        line["verdict_id"] = verdict.verdict_id
    if verdict.problem:
        line["problem"] = verdict.problem
    if verdict.outcome is CheckOutcome.NO_CHECKS:
        line["problem"] = "the project has no checks; nothing was verified"
    return line


def run_line(run: CheckRun) -> dict[str, object]:
    """One command that was run; the output's end only when it failed."""
    line: dict[str, object] = {"command": run.shown, "exit_code": run.exit_code, "counts": run.counts}
    if run.timed_out:
        line["timed_out"] = True
    if run.exit_code != 0 or run.timed_out:
        line["output_end"] = end_of(run.tail, TAIL_CHARS)
    return line


def task_line(task: TaskView, tasks: dict[str, TaskView]) -> dict[str, object]:
    """One task of the list; *ready* when all that comes before it is done."""
    open_before = [t for t in task.after if t in tasks and tasks[t].report != "done"]
    line: dict[str, object] = {"task_id": task.task_id, "title": task.title}
    if task.detail:
        line["detail"] = task.detail
    if task.criteria:
        line["criteria"] = task.criteria
    if task.owner:
        line["owner"] = task.owner
    line["state"] = task.report.value if task.report else ("claimed" if task.owner else "open")
    if open_before:
        line["waits_for"] = open_before
    return line


def message_line(message: MessageView) -> dict[str, object]:
    """One message for its receiver's model: the body is data, from a sender who is named."""
    line: dict[str, object] = {"message_id": message.message_id, "sender": message.sender}
    if not message.verified:
        line["sender_unverified"] = True
    if message.again:
        line["again"] = "you may have had this one before: act on it only once"
    for name in ("subject", "thread", "answers", "reply_to"):
        value = getattr(message, name)
        if value:
            line[name] = value
    if message.priority != "normal":
        line["priority"] = message.priority
    if message.content_type not in {TEXT, ARTIFACT_TYPE}:
        line["content_type"] = message.content_type
    ref = ref_of(message.body)
    return {**line, "body": message.body} if ref is None else {**line, **artifact_shown(ref)}


def artifact_shown(ref: ArtifactRef) -> dict[str, object]:
    """What a model is told of a text that is kept apart."""
    told = {"size": ref.size, "content_type": ref.content_type, "sha256": ref.sha256}
    named = {**told, "name": ref.name} if ref.name else told
    return {"artifact": named, "next": "fetch_artifact with this id gets it"}


def notes_reply(notes: Sequence[NoteView], after: str) -> Reply:
    """Notes written after the note *after*, oldest first."""
    ids = [note.note_id for note in notes]
    fresh = notes[ids.index(after) + 1 :] if after in ids else notes
    return {"notes": [{"note_id": n.note_id, "author": n.author, "text": n.text} for n in fresh]}


def running(view: SessionView) -> list[str]:
    """Workers from which something is still to come."""
    return [w.worker_id for w in view.team if not (w.state.ended or w.stalled)]
