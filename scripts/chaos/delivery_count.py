"""What came of the storm: counted from the journal, the transcripts and what the agents wrote down."""

import re
from collections import Counter
from dataclasses import dataclass, field

from agentorchestr.journal.reducer import step
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import SessionView
from scripts.chaos.delivery_session import ListeningSession
from scripts.chaos.delivery_storm import Storm

OURS = re.compile(
    r"(A new message from (\S+|another agent) waits\. Call \S+ to read it and act on it\."
    r"|(Your last turn failed|You stopped without a report)\. .*"
    r"|News: .*|No worker is at work.*|.*\"/.*\.md\".*)",
    re.DOTALL,
)
ALLOWED = "It was allowed."


@dataclass
class Count:
    """The figures. The first group must be 0."""

    lost: list[str] = field(default_factory=list)
    second_effect: list[str] = field(default_factory=list)
    false_not_delivered: list[str] = field(default_factory=list)
    drafts_destroyed: list[str] = field(default_factory=list)
    garbled_prompts: list[str] = field(default_factory=list)
    """Prompts that are neither a line of ours nor a line of the person's, whole."""
    approved_by_typing: int = 0
    run_by_a_shell: int = 0
    sends: int = 0
    attempts: int = 0
    told_not_delivered: int = 0
    latencies_s: list[float] = field(default_factory=list)
    """From queued to turn started, for messages to agents that were idle."""
    held: Counter[str] = field(default_factory=Counter)
    prompts: int = 0

    @property
    def faults(self) -> int:
        return (
            len(self.lost)
            + len(self.second_effect)
            + len(self.drafts_destroyed)
            + len(self.garbled_prompts)
            + self.approved_by_typing
            + self.run_by_a_shell
        )

    def quantile_s(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def count(storm: Storm, session: ListeningSession) -> Count:
    """Look at everything, once it is still."""
    found = Count(sends=len(storm.sends))
    heard = session.heard()
    for send in storm.sends:
        times = [reader for message_id, _ in send.attempts for reader in heard.get(message_id, [])]
        found.attempts += len(send.attempts)
        found.told_not_delivered += len(send.told_lost)
        last = send.attempts[-1] if send.attempts else ("", "")
        if not times:
            found.lost.append(f"op-{send.number}: {send.attempts} {_story(session.view(), last[0])}")
        if len(times) > 1:
            found.second_effect.append(f"op-{send.number}: {times} {send.attempts}")
    found.false_not_delivered = _false_alarms(storm, session, heard)
    found.drafts_destroyed = storm.person.typed.destroyed
    found.run_by_a_shell = int(storm.pwned.exists())
    _look_at_transcripts(found, storm, session)
    _look_at_times(found, storm, session)
    return found


def _story(view: SessionView, message_id: str) -> str:
    message = view.messages.get(message_id)
    if message is None:
        return "never reached the session"
    receiver = view.workers[message.receiver]
    return f"{message.step} at {message.receiver} ({receiver.state}, held: {receiver.held or 'no'})"


def _false_alarms(storm: Storm, session: ListeningSession, heard: dict[str, list[str]]) -> list[str]:
    """What a sender was told is not delivered, though its receiver had it before that."""
    view = session.view()
    found = [
        f"op-{send.number}: {message_id} was heard"
        for send in storm.sends
        for message_id in send.told_lost
        if message_id in heard
    ]
    for item in session.facts:
        if isinstance(item.fact, f.WorkerStalled):
            late = [m for m in view.messages.values() if m.receiver == item.fact.worker_id and m.at < item.at]
            if any(m.read_at is not None and m.read_at > item.at for m in late):
                found.append(f"{item.fact.worker_id} was given up and read later: {item.fact.why}")
    return found


def _look_at_transcripts(found: Count, storm: Storm, session: ListeningSession) -> None:
    theirs = Counter(storm.person.typed.sent)
    for worker in session.view().workers.values():
        for prompt in session.said(worker.worker_id, "user"):
            found.prompts += 1
            if theirs[(worker.worker_id, prompt)] > 0:
                theirs[(worker.worker_id, prompt)] -= 1
            elif not OURS.fullmatch(prompt) or "from the person" in prompt:
                found.garbled_prompts.append(f"{worker.worker_id}: {prompt[:200]!r}")
        found.approved_by_typing += session.said(worker.worker_id, "assistant").count(ALLOWED)


def _look_at_times(found: Count, storm: Storm, session: ListeningSession) -> None:
    """How long an idle agent took to begin its turn. Held, dead and restarting ones are not idle."""
    view: SessionView | None = None
    since: dict[str, tuple[float, int]] = {}
    for item in session.facts:
        fact = item.fact
        before = view
        if before is not None and isinstance(fact, f.MessageQueued) and _is_idle(before, fact.receiver):
            if not storm.person.is_at(fact.receiver, item.at):
                since[fact.receiver] = (item.at, item.generation)
        elif isinstance(fact, f.LineHeld):
            found.held[fact.held] += 1
            since.pop(fact.worker_id, None)
        elif isinstance(fact, f.PaneDied):
            since.pop(fact.worker_id, None)
        elif isinstance(fact, f.AgentSeen) and fact.kind is AgentEventKind.PROMPT_TAKEN:
            queued, generation = since.pop(fact.worker_id, (0.0, 0))
            if queued and generation == item.generation:
                found.latencies_s.append(item.at - queued)
        view = step(view, item)


def _is_idle(view: SessionView, worker_id: str) -> bool:
    worker = view.workers.get(worker_id)
    if worker is None or not (worker.alive and worker.ready and worker.prompt_taken):
        return False
    rests = not (worker.in_turn or worker.asks or worker.held or worker.bell_open)
    return rests and worker.report is not None and not view.waiting.get(worker_id)
