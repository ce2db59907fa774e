"""Results on their way to a client: each is told until the client has shown that it hears."""

import asyncio
from collections.abc import Awaitable, Callable

from agentorchestr.clock import SYSTEM_CLOCK
from agentorchestr.journal.mailbox_tasks import Said
from agentorchestr.model.mail import DelegatedTask
from agentorchestr.swarm.delegation import Delegation
from agentorchestr.swarm.exchange import Exchange

TOLD = "told"
LOOKED_AT = 500
"""Of the tasks that a client gave, the last so many may wait to be told."""

Tell = Callable[[DelegatedTask], Awaitable[bool]]


class News:
    """Tells how the tasks of one client ended, also those that did so while it was away.

    The protocol has no receipt. What was told counts as heard when the client writes anything after it;
    what was not is told again at its next registration.
    """

    def __init__(self, delegation: Delegation, exchange: Exchange, tell: Tell) -> None:
        self._book = delegation.book
        self._exchange = exchange
        self._tell = tell
        self._ended: asyncio.Queue[DelegatedTask] = asyncio.Queue()
        self._taken: set[str] = set()
        self._told: list[DelegatedTask] = []
        delegation.follow(self._see)

    async def tell(self) -> None:
        """Tell of each end, for ever, or until the client has gone."""
        for task in await self._untold():
            self._see(task)
        while True:
            task = await self._ended.get()
            if not await self._tell(task):
                return
            self._told.append(task)

    async def heard(self) -> None:
        """Note that the client wrote something."""
        if not self._told:
            return
        told, self._told = self._told, []
        now, me = SYSTEM_CLOCK.now(), self._exchange.me
        await self._book.keep(
            *(
                self._book.logging(Said(task.task_id, now, me, task.attempt, TOLD, accepted=True))
                for task in told
            )
        )

    def _see(self, task: DelegatedTask) -> None:
        if task.state.final and task.task_id not in self._taken:
            self._taken.add(task.task_id)
            self._ended.put_nowait(task)

    async def _untold(self) -> list[DelegatedTask]:
        """Tasks that ended and were not heard of, oldest first."""
        rows, me = self._exchange.store.tasks, self._exchange.me
        recent = await self._book.recent(limit=LOOKED_AT)

        def look() -> list[DelegatedTask]:
            return [
                task
                for task in reversed(recent)
                if task.state.final and all(said.said != TOLD for said in rows.history(me, task.task_id))
            ]

        return await self._exchange.lane.do(look)
