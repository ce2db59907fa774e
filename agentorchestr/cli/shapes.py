"""Sessions and workers as JSON: our own stable shapes, not whatever the values happen to hold."""

from collections import Counter
from dataclasses import asdict

from agentorchestr.model.request import A2A_HUB
from agentorchestr.model.resume import Resumable
from agentorchestr.model.states import MergeResult, MessageStep, Outcome
from agentorchestr.model.verdict import MergeAttempt, Verdict
from agentorchestr.model.view import SessionView, Tokens, WorkerView

Shape = dict[str, object]


def session_state(view: SessionView, *, alive: bool) -> str:
    """Name a session's state: its outcome, ``running``, or ``stopped`` when nobody looks after it."""
    if view.outcome is not None:
        return view.outcome.value
    return "running" if alive else "stopped"


def listed_shape(view: SessionView, found: Resumable, *, alive: bool) -> Shape:
    """Give one row of a listing of sessions."""
    return {**session_shape(view, alive=alive), "resumable": found.ok, "resume_why": found.why}


def session_shape(view: SessionView, *, alive: bool) -> Shape:
    """Give what every shape of a session begins with."""
    created = view.created
    return {
        "id": view.session_id,
        "state": session_state(view, alive=alive),
        "exit_code": view.outcome.exit_code if view.outcome is not None else None,
        "goal": created.goal,
        "project": created.project,
        "manual": created.manual,
        "lead_agent": created.lead_agent or None,
        "worker_agents": list(created.worker_agents),
        "workers": len(view.team),
        "merged_workers": sum(worker.merged for worker in view.team),
        "base_branch": created.base_branch,
        "base_commit": created.base_commit,
        "integration_branch": view.integration_branch,
        "created_at": view.created_at,
        "ended_at": view.ended_at,
        "summary": view.end_summary or view.goal_summary,
        "landed_on": view.landed or None,
    }


def bus_shape(view: SessionView) -> Shape:
    """Give how the session's agents meet others: over which broker, what it can do, or why not at all."""
    tried = view.broker_tried
    found = tried.abilities if tried is not None else None
    return {
        "broker": view.created.broker or None,
        "a2a_hub": f"ws://127.0.0.1:{view.port}" if A2A_HUB in view.created.bus_compat else None,
        "problem": view.off_bus or (tried.why if tried is not None else "") or None,
        "abilities": asdict(found) if found is not None else None,
    }


def worker_shape(worker: WorkerView) -> Shape:
    """Give one lead or worker."""
    return {
        "id": worker.worker_id,
        "role": worker.role,
        "agent": worker.agent,
        "state": worker.state.value,
        "since": worker.since,
        "task": worker.task,
        "branch": worker.branch,
        "worktree": worker.worktree,
        "pane_id": worker.pane_id or None,
        "report": worker.report.value if worker.report is not None else None,
        "summary": worker.summary,
        "last_note": worker.last_note,
        "asks": worker.asks or None,
        "merged": worker.merged,
        "restarts": worker.revived,
        "quarantined": worker.quarantined or None,
        "last_screen": worker.last_screen if worker.quarantined else None,
        "tokens": tokens_shape(worker.tokens),
    }


def mail_shape(view: SessionView, worker: WorkerView) -> Shape:
    """Give how far the messages to one agent got, each unread one with the evidence there is of it."""
    mine = [one for one in view.messages.values() if one.receiver == worker.worker_id]
    steps = Counter(one.step.value for one in mine)
    return {
        "steps": {step.value: steps[step.value] for step in MessageStep},
        "held": worker.held or None,
        "unread": [
            {
                "id": one.message_id,
                "from": one.sender,
                "queued_at": one.at,
                "step": one.step.value,
                "handed_at": one.handed_at,
                "handed_by": one.handed_by or None,
                "turn_at": one.turn_at,
                "turn_by": one.turn_by or None,
            }
            for one in view.unread_of(worker.worker_id)
        ],
    }


def tokens_shape(tokens: Tokens) -> Shape | None:
    """Give the counts, or null when the agent's own are not known."""
    if not tokens.known:
        return None
    return {"input": tokens.input, "output": tokens.output, "cached": tokens.cached}


def verdict_shape(verdict: Verdict) -> Shape:
    """Give one verdict with its evidence."""
    return {
        "id": verdict.verdict_id,
        "commit": verdict.commit,
        "tree": verdict.tree,
        "outcome": verdict.outcome.value,
        "problem": verdict.problem,
        "took_s": verdict.took_s,
        "runs": [
            {
                "command": run.shown,
                "exit_code": run.exit_code,
                "counts": run.counts,
                "took_s": run.took_s,
                "timed_out": run.timed_out,
                "tail": run.tail,
            }
            for run in verdict.runs
        ],
    }


def merge_shape(attempt: MergeAttempt) -> Shape:
    """Give one attempt to merge."""
    return {
        "worker": attempt.worker_id,
        "result": attempt.result.value,
        "commit": attempt.commit or None,
        "files": list(attempt.files),
        "conflicts": [{"path": one.path, "kind": one.kind} for one in attempt.conflicts],
        "altered_tests": list(attempt.altered_tests),
        "why": attempt.why,
    }


def last_verdict(view: SessionView) -> Verdict | None:
    """Give the verdict on what the session delivers: on its last merge, or the one that made it done.

    With nothing merged, the newest of all: it says why. Verdicts on what was only tried do not count.
    """
    newest = sorted(view.verdicts, key=lambda verdict: verdict.at, reverse=True)
    if view.outcome is Outcome.DONE:
        return next((verdict for verdict in newest if verdict.green), None)
    merged = [one.commit for one in view.merges if one.result is MergeResult.MERGED]
    if not merged:
        return newest[0] if newest else None
    return next((verdict for verdict in newest if verdict.commit == merged[-1]), None)


def has_result(view: SessionView) -> bool:
    """Whether anything was merged, so that there is something to land."""
    return any(attempt.result is MergeResult.MERGED for attempt in view.merges)


def land_command(view: SessionView) -> str:
    """Give the command that lands the result: what was not proven takes the person's explicit word."""
    word = "" if view.outcome is Outcome.DONE else " --unverified"
    return f"agentorchestr land {view.session_id}{word}"


def report_shape(view: SessionView, *, alive: bool) -> Shape:
    """Give everything the final report says."""
    verdict = last_verdict(view)
    return {
        **session_shape(view, alive=alive),
        "unverified_reason": view.unverified_reason or None,
        "team": [worker_shape(worker) for worker in view.workers.values()],
        "bus": bus_shape(view),
        "merges": [merge_shape(attempt) for attempt in view.merges],
        "checks": [check.shown for check in view.created.checks],
        "verdict": verdict_shape(verdict) if verdict is not None else None,
        "land_command": land_command(view) if has_result(view) and not view.landed else None,
    }
