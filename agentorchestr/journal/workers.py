"""How facts change one worker, and which state they add up to."""

from dataclasses import replace

from agentorchestr.model import facts as f
from agentorchestr.model.states import LEAD, SUPERVISOR, AgentEventKind, MergeResult, Report, WorkerState
from agentorchestr.model.view import Tokens, WorkerView

WORKER_FACTS = (
    f.WorktreeReady,
    f.PaneOpened,
    f.AgentReady,
    f.AgentSeen,
    f.PaneDied,
    f.WorkerReported,
    f.SpawnFailed,
    f.SpawnHeld,
    f.SpawnAdmitted,
    f.WorkerKilled,
    f.WorkerRevived,
    f.WorkerQuarantined,
    f.ProgressNoted,
    f.MessageQueued,
    f.MessagesRead,
    f.EventsRead,
    f.DoorbellRung,
    f.LineGiven,
    f.LineHeld,
    f.MergeEnded,
    f.TokensCounted,
    f.WorkerStalled,
)

REPORTED = {
    Report.DONE: WorkerState.DONE,
    Report.BLOCKED: WorkerState.BLOCKED,
    Report.FAILED: WorkerState.FAILED,
}


def state_of(worker: WorkerView) -> WorkerState:
    """The state these facts add up to; what a worker says of itself counts before what it does."""
    if worker.killed or worker.quarantined:
        return WorkerState.DEAD
    if worker.report is not None:
        return REPORTED[worker.report]
    if worker.pid and not worker.alive:
        return WorkerState.STARTING if worker.comes_back else WorkerState.DEAD
    if worker.asks:
        return WorkerState.ASKS
    if worker.limited:
        return WorkerState.LIMITED
    if worker.in_turn:
        return WorkerState.WORKING
    return WorkerState.IDLE if worker.prompt_taken else WorkerState.STARTING


def reduce_worker(worker: WorkerView, fact: f.Fact) -> WorkerView:
    """*worker* after *fact*, its ``state`` not computed yet."""
    match fact:
        case f.AgentSeen():
            return _seen(worker, fact)
        case f.PaneOpened() | f.PaneDied() | f.WorktreeReady() | f.AgentReady():
            return _life(worker, fact)
        case f.WorkerRevived() | f.WorkerQuarantined() | f.WorkerKilled():
            return _death(worker, fact)
        case f.WorkerReported(report=report, summary=summary):
            acted = replace(worker, bells=0, stalled=False, deaths=0)
            return replace(acted, report=report, summary=summary, last_note=summary)
        case f.SpawnFailed(why=why):
            failed = replace(worker, wanted=False, deaths=worker.deaths + 1)
            return replace(failed, report=Report.FAILED, summary=why, last_note=why)
        case f.SpawnHeld(why=why):
            return replace(worker, queued=why, last_note=why)
        case f.SpawnAdmitted():
            return replace(worker, queued="", last_note="")
        case f.ProgressNoted(text=text):
            return replace(worker, last_note=text)
        case f.MessageQueued(sender=sender):
            fresh = replace(worker, bells=0, stalled=False)
            # New work from above: what it said of the old is no longer the answer. A peer's note is no order.
            orders = sender in {LEAD, SUPERVISOR} and worker.reachable and not worker.is_lead
            if worker.report is None or not orders:
                return fresh
            return replace(fresh, report=None, rounds=worker.rounds + 1)
        case f.DoorbellRung(why=why):
            # One that was begun and not given is no try of its own.
            tries = worker.bells - 1 if worker.bell_open else worker.bells
            bells = tries + 1 if why == worker.bell_why else 1
            return replace(worker, bells=bells, bell_why=why, held="", bell_open=True)
        case f.LineGiven():
            return replace(worker, bell_open=False)
        case f.LineHeld(held=held):
            # A bell that was not rung after all is no try.
            bells = worker.bells - 1 if worker.bell_open else worker.bells
            return replace(worker, held=held, bells=bells, bell_open=False)
        case f.MessagesRead() | f.EventsRead():
            return replace(worker, bells=0, stalled=False, held="")
        case f.MergeEnded(attempt=attempt):
            return replace(worker, merged=worker.merged or attempt.result is MergeResult.MERGED)
        case f.WorkerStalled(why=why):
            return replace(worker, last_note=why, stalled=True)
        case f.TokensCounted(input_tokens=given, output_tokens=made, cached_tokens=cached):
            return replace(worker, tokens=Tokens(given, made, cached, known=True))
        case _:
            return worker


def _life(worker: WorkerView, fact: f.Fact) -> WorkerView:
    match fact:
        case f.WorktreeReady(start_commit=commit):
            return replace(worker, start_commit=commit)
        case f.PaneOpened(pane_id=pane_id, pid=pid, pid_started=started, agent_session=session):
            return replace(
                worker,
                pane_id=pane_id,
                pid=pid,
                pid_started=started,
                alive=True,
                wanted=False,
                exit_status=None,
                agent_session=session or worker.agent_session,
            )
        case f.PaneDied(exit_status=status, last_screen=screen, from_outside=from_outside):
            deaths = worker.deaths + (0 if from_outside else 1)
            shown = worker.last_screen if from_outside else screen
            gone = replace(worker, alive=False, in_turn=False, asks="", deaths=deaths)
            return replace(gone, exit_status=status, last_screen=shown)
        case f.AgentReady():
            return replace(worker, ready=True)
        case _:
            return worker


def _death(worker: WorkerView, fact: f.Fact) -> WorkerView:
    match fact:
        case f.WorkerKilled():
            return replace(worker, killed=True, wanted=False, alive=False, in_turn=False, asks="")
        case f.WorkerQuarantined(why=why):
            return replace(worker, quarantined=why, last_note=why)
        case f.WorkerRevived(resume=resume):
            # What its next program does is seen anew; its task, its report and its branch are the same.
            fresh = replace(worker, wanted=True, resume=resume, revived=worker.revived + 1)
            fresh = replace(fresh, pane_id="", pid=0, pid_started=0.0, alive=False, exit_status=None)
            fresh = replace(fresh, ready=False, prompt_taken=False, in_turn=False, asks="", limited=False)
            fresh = replace(fresh, bells=0, bell_why="", bell_open=False, held="")
            fresh = replace(fresh, stalled=False, unclear="", turn_error="")
            return replace(fresh, report=None) if worker.is_lead else fresh
        case _:
            return worker


def _seen(worker: WorkerView, fact: f.AgentSeen) -> WorkerView:
    if fact.agent_session:
        worker = replace(worker, agent_session=fact.agent_session)
    match fact.kind:
        case AgentEventKind.PROMPT_TAKEN:
            return replace(_in_turn(worker), turn_error="")
        case AgentEventKind.ACTIVE:
            return _in_turn(worker)
        case AgentEventKind.ASKS:
            return replace(worker, asks=fact.detail or "a question", last_note=f"asks: {fact.detail}")
        case AgentEventKind.LIMITED:
            return replace(worker, limited=True, in_turn=False, last_note=fact.detail)
        case AgentEventKind.TURN_ENDED:
            return replace(worker, in_turn=False, asks="", turn_error="", deaths=0)
        case AgentEventKind.TURN_FAILED:
            return replace(worker, in_turn=False, asks="", turn_error=fact.detail, last_note=fact.detail)
        case AgentEventKind.ENDED | AgentEventKind.STARTED:
            return replace(worker, in_turn=False, asks="")


def _in_turn(worker: WorkerView) -> WorkerView:
    turns = worker.turns + (0 if worker.in_turn else 1)
    moving = replace(worker, prompt_taken=True, in_turn=True, stalled=False, bell_open=False)
    return replace(moving, asks="", limited=False, turns=turns)
