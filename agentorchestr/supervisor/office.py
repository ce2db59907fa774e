"""The desk at which the faces ask: tokens become principals, principals get their verbs."""

from collections.abc import Callable, Sequence

from agentorchestr.errors import ToolRefused
from agentorchestr.model import facts as f
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import SessionView
from agentorchestr.supervisor.desk import Principal, PrincipalKind
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.integration import Integration
from agentorchestr.supervisor.lead_results import LeadDesk
from agentorchestr.supervisor.mail_verbs import MailDesk
from agentorchestr.supervisor.post import Post
from agentorchestr.supervisor.spawner import Spawner
from agentorchestr.supervisor.worker_verbs import WorkerDesk

EVENTS_PER_REPLY = 500


class Office:
    """The living session's answer to ``desk.Desk``."""

    def __init__(
        self,
        gear: Gear,
        *,
        spawner: Spawner,
        integration: Integration,
        start: Callable[[str], None],
        post: Post | None,
    ) -> None:
        self._gear = gear
        self._spawner = spawner
        self._integration = integration
        self._start = start
        self._post = post
        self._wait_limits = {name: spec.wait_limit_s for name, spec in gear.catalogue.items()}

    def principal_of(self, token: str) -> Principal | None:
        """Whose token this is; None for an unknown or stale one."""
        return self._gear.tokens.owner(token, self._gear.view, self._wait_limits)

    async def tools_listed(self, principal: Principal, *, client: str) -> None:
        """Record that the agent is ready, once."""
        if principal.kind is PrincipalKind.CONTROL:
            return
        ready = f.AgentReady(principal.worker_id, client[:200])
        await self._gear.book.decide(lambda view: [] if view.workers[principal.worker_id].ready else [ready])

    async def tool_called(self, principal: Principal, tool: str) -> None:
        """Record that the agent is in a turn, when nothing else told so."""
        if principal.kind is PrincipalKind.CONTROL:
            return
        seen = f.AgentSeen(principal.worker_id, AgentEventKind.ACTIVE, "tool call", tool)

        def choose(view: SessionView) -> Sequence[f.Fact]:
            worker = view.workers[principal.worker_id]
            quiet = worker.alive and (
                not worker.in_turn or bool(worker.asks or worker.unclear) or worker.limited
            )
            return [seen] if quiet else []

        await self._gear.book.decide(choose)

    def lead(self, principal: Principal) -> LeadDesk:
        """The lead's verbs."""
        self._check(principal, PrincipalKind.LEAD)
        return LeadDesk(
            self._gear,
            principal,
            spawner=self._spawner,
            integration=self._integration,
            start=self._start,
        )

    def worker(self, principal: Principal) -> WorkerDesk:
        """The verbs of one worker."""
        self._check(principal, PrincipalKind.WORKER)
        return WorkerDesk(
            self._gear,
            principal.worker_id,
            integration=self._integration,
            wait_limit_s=principal.wait_limit_s,
        )

    def mail(self, principal: Principal) -> MailDesk:
        """The mail of a lead or worker."""
        return MailDesk(self._gear, principal, self._post)

    def _check(self, principal: Principal, kind: PrincipalKind) -> None:
        if principal.kind is not kind:
            raise ToolRefused(f"a {principal.kind} has no {kind} tools")

    async def events(self, *, after: int, wait_s: float) -> Sequence[Recorded]:
        """Facts after *after*; waits for the first."""
        await self._gear.book.wait_until(lambda view: view.last_seq > after, timeout_s=wait_s)
        return await self._gear.book.facts(after=after, limit=EVENTS_PER_REPLY)

    async def stop(self, *, by: str) -> None:
        """Record that a person asked to stop; the session ends as cancelled."""
        await self._gear.book.decide(lambda view: [] if view.stop_asked else [f.StopAsked(by)])

    async def pause(self, *, by: str) -> None:
        """Record that a person asked to pause; a session that is ending does so instead."""
        await self._gear.book.decide(lambda view: [] if view.ending else [f.PauseAsked(by)])
