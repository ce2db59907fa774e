"""What the faces may ask of a living session: the one contract between core and MCP server.

Every verb answers with a *Reply*: a small JSON object for a model to read. A verb that is understood
and not allowed now raises ``ToolRefused`` (or another ``OrchestrError``); its message and hint reach the
caller as one short error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Unpack

from agentorchestr.model.facts import Recorded
from agentorchestr.supervisor.wording import Words

Reply = Mapping[str, object]


class PrincipalKind(StrEnum):
    """Who calls: each kind has its own set of tools."""

    LEAD = "lead"
    WORKER = "worker"
    CONTROL = "control"


@dataclass(frozen=True)
class Principal:
    """The owner of a bearer token."""

    worker_id: str
    kind: PrincipalKind
    wait_limit_s: float = 25.0
    """How long one tool call may wait before this agent's client gives up on it."""


class LeadVerbs(Protocol):
    """The lead's tools. Waits are bounded by ``wait_limit_s`` of the caller."""

    async def spawn_worker(
        self,
        task: str,
        *,
        role: str,
        agent: str,
        file_scope: Sequence[str],
        criteria: str,
        context: str,
        task_id: str,
    ) -> Reply: ...
    async def read_worker_output(self, worker_id: str, *, tail_lines: int) -> Reply: ...
    async def send_to_worker(self, worker_id: str, message: str) -> Reply: ...
    async def wait_for_worker(self, worker_id: str, *, timeout_s: float) -> Reply: ...
    async def wait_for_any(self, *, timeout_s: float) -> Reply: ...
    async def list_workers(self) -> Reply: ...
    async def kill_worker(self, worker_id: str) -> Reply: ...
    async def review_diff(self, worker_id: str, *, paths: Sequence[str], stat_only: bool) -> Reply: ...
    async def merge_worker(self, worker_id: str, *, allow_test_changes: bool) -> Reply: ...
    async def verify(self, *, worker_id: str) -> Reply: ...
    async def cross_review(self, worker_a: str, worker_b: str, *, focus: str) -> Reply: ...
    async def report_progress(self, message: str) -> Reply: ...
    async def list_perspectives(self) -> Reply: ...
    async def add_task(self, title: str, *, detail: str, criteria: str, after: Sequence[str]) -> Reply: ...
    async def list_tasks(self) -> Reply: ...
    async def write_note(self, text: str) -> Reply: ...
    async def read_notes(self, *, after: str) -> Reply: ...
    async def mark_goal_done(self, summary: str, *, unverified_reason: str) -> Reply: ...
    async def mark_goal_failed(self, reason: str) -> Reply: ...


class WorkerVerbs(Protocol):
    """A worker's tools, bound to that worker."""

    async def get_brief(self) -> Reply: ...
    async def claim_task(self, task_id: str) -> Reply: ...
    async def report_progress(self, message: str, *, quiet_minutes: int = 0) -> Reply: ...
    async def report_done(self, summary: str) -> Reply: ...
    async def report_blocked(self, reason: str) -> Reply: ...
    async def report_failed(self, reason: str) -> Reply: ...
    async def run_checks(self) -> Reply: ...
    async def write_note(self, text: str) -> Reply: ...
    async def read_notes(self, *, after: str) -> Reply: ...
    async def ask_lead(self, question: str) -> Reply: ...


class MailVerbs(Protocol):
    """What lead and workers share: messages to one another."""

    async def send_message(self, to: str, body: str, **words: Unpack[Words]) -> Reply: ...
    async def broadcast(self, body: str, *, subject: str, scope: str) -> Reply: ...
    async def read_inbox(self) -> Reply: ...
    async def wait_for_message(self, *, timeout_s: float) -> Reply: ...
    async def list_agents(self, *, capability: str) -> Reply: ...
    async def task_status(self, message_id: str) -> Reply: ...
    async def fetch_artifact(self, some_id: str, *, offset: int) -> Reply: ...
    async def delegate(self, task: str, *, to: str, capability: str, timeout_s: float) -> Reply: ...


class Desk(Protocol):
    """Everything the HTTP app needs of the core."""

    def principal_of(self, token: str) -> Principal | None:
        """Whose token this is; None for an unknown or stale one. Compares in constant time."""

    async def tools_listed(self, principal: Principal, *, client: str) -> None:
        """The agent asked for its tools: it is ready. *client* is its user agent."""

    async def tool_called(self, principal: Principal, tool: str) -> None:
        """The agent called a tool: it is in a turn."""

    def lead(self, principal: Principal) -> LeadVerbs:
        """The lead's verbs."""

    def worker(self, principal: Principal) -> WorkerVerbs:
        """The verbs of one worker."""

    def mail(self, principal: Principal) -> MailVerbs:
        """The mail of a lead or worker."""

    async def events(self, *, after: int, wait_s: float) -> Sequence[Recorded]:
        """Facts after *after*, at most 500; waits up to *wait_s* for the first."""

    async def stop(self, *, by: str) -> None:
        """Begin to end the session as cancelled."""

    async def pause(self, *, by: str) -> None:
        """Begin to end the agents; the session can go on later."""
