"""The final report of a session, line by line."""

from collections.abc import Iterator

from agentorchestr.cli.shapes import has_result, land_command, last_verdict
from agentorchestr.cli.text import clean, clean_lines, count, took
from agentorchestr.context.roles import load_roles
from agentorchestr.model.states import CheckOutcome, MergeResult, Outcome
from agentorchestr.model.verdict import Verdict
from agentorchestr.model.view import SessionView, WorkerView

FILES_SHOWN = 20
TAIL_LINES_SHOWN = 12

_CHECKED = {
    CheckOutcome.GREEN: "passed",
    CheckOutcome.RED: "FAILED",
    CheckOutcome.NO_CHECKS: "there are no checks: nothing was verified",
    CheckOutcome.ERROR: "could not be run",
}

_UNPROVEN: dict[Outcome | None, str] = {
    Outcome.CANCELLED: "stopped before its goal was reached",
    Outcome.FAILED: "its goal was not reached",
    Outcome.UNVERIFIED: "nothing proves it",
    Outcome.PAUSED: "it is paused",
}


def report_lines(view: SessionView) -> Iterator[tuple[int, str]]:
    """Give the report as (indent, line): result, merges, checks, branch, how to land, time, tokens."""
    outcome = view.outcome.value if view.outcome is not None else "not over"
    ended = view.ended_at if view.ended_at is not None else view.created_at
    yield 0, f"session {view.session_id} {outcome} in {took(max(0.0, ended - view.created_at))}"
    for line in clean_lines(view.end_summary or view.goal_summary):
        yield 2, line
    if view.unverified_reason:
        yield 2, f"unverified: {clean(view.unverified_reason)}"
    for worker in view.team:
        yield from _worker_lines(view, worker)
    yield from _verdict_lines(view, last_verdict(view))
    yield 2, f"branch    {view.integration_branch}"
    yield from _landing_lines(view)
    yield 2, f"tokens    {_tokens(view)}"
    if view.outcome is Outcome.PAUSED:
        yield 2, f"go on     agentorchestr --resume {view.session_id}"


def _worker_lines(view: SessionView, worker: WorkerView) -> Iterator[tuple[int, str]]:
    who = f"{worker.worker_id} {worker.role} ({worker.agent})"
    attempts = [one for one in view.merges if one.worker_id == worker.worker_id]
    merged = [one for one in attempts if one.result is MergeResult.MERGED]
    files = tuple(dict.fromkeys(path for one in merged for path in one.files))
    if not merged:
        last = attempts[-1] if attempts else None
        reads = last is None and not may_edit(worker.role)
        why = f": {last.result.value}" + (f", {last.why}" if last.why else "") if last else ""
        why = ": its role only reads, its report is its result" if reads else why
        yield 2, f"not merged  {who}, {worker.state.value}{why}"
        return
    yield 2, f"merged    {who}: {count(len(files), 'file')}"
    for path in files[:FILES_SHOWN]:
        yield 12, path
    if len(files) > FILES_SHOWN:
        base = view.created.base_commit[:12]
        left = len(files) - FILES_SHOWN
        yield 12, f"and {left} more: git diff --stat {base}...{view.integration_branch}"


def may_edit(role: str) -> bool:
    """Whether a worker in *role* changes files; one we do not know may."""
    card = load_roles().get(role)
    return card is None or card.may_edit


def _verdict_lines(view: SessionView, verdict: Verdict | None) -> Iterator[tuple[int, str]]:
    if verdict is None:
        known = ", ".join(check.shown for check in view.created.checks)
        yield (
            2,
            f"checks    were not run ({known})" if known else f"checks    {_CHECKED[CheckOutcome.NO_CHECKS]}",
        )
        return
    problem = f": {verdict.problem}" if verdict.problem else ""
    yield 2, f"checks    {_CHECKED[verdict.outcome]}{_of_what(view, verdict)}{problem}"
    for run in verdict.runs:
        ending = "out of time" if run.timed_out else f"exit {run.exit_code}"
        counts = f", {run.counts}" if run.counts else ""
        yield 12, f"{run.shown}: {ending}{counts} ({took(run.took_s)})"
        if run.exit_code != 0 or run.timed_out:
            lines = clean_lines(run.tail)
            if len(lines) > TAIL_LINES_SHOWN:
                yield 14, f"… all of it: agentorchestr status {view.session_id} --json"
            yield from ((14, line) for line in lines[-TAIL_LINES_SHOWN:])


def _of_what(view: SessionView, verdict: Verdict) -> str:
    """What the verdict is on, where it is not on a goal that was reached."""
    if view.outcome is Outcome.DONE or verdict.outcome is CheckOutcome.NO_CHECKS:
        return ""
    return " on what was merged so far" if has_result(view) else " on work that was not merged"


def _landing_lines(view: SessionView) -> Iterator[tuple[int, str]]:
    if view.landing_problem:
        yield 2, f"not landed {view.landing_problem}"
    if view.landed and has_result(view):
        yield 2, f"landed    on {view.landed}"
    elif has_result(view):
        why = (
            _UNPROVEN.get(view.outcome, "the session is not over") if view.outcome is not Outcome.DONE else ""
        )
        yield 2, f"land it   {land_command(view)}" + (f"   ({why}: look at it first)" if why else "")
    else:
        yield 2, "land it   nothing was merged, so there is nothing to land"


def _tokens(view: SessionView) -> str:
    known = [worker.tokens for worker in view.workers.values() if worker.tokens.known]
    unknown = [worker.worker_id for worker in view.workers.values() if not worker.tokens.known]
    if not known:
        return "not known"
    text = (
        f"{sum(one.input for one in known):,} in, {sum(one.output for one in known):,} out, "
        f"{sum(one.cached for one in known):,} cached"
    )
    return text + (f"; not known for {', '.join(unknown)}" if unknown else "")
