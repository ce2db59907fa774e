"""One side's record of delegated tasks, for coroutines."""

from collections.abc import Callable
from functools import partial

from agentorchestr.journal.mailbox_tasks import Said, Side
from agentorchestr.model.mail import DelegatedTask
from agentorchestr.process import offload
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.task_wire import fit

Call = Callable[[], None]


class TaskBook:
    """The tasks that an exchange's owner asked for, or took."""

    def __init__(self, exchange: Exchange, side: Side) -> None:
        self._lane = exchange.lane
        self._shelf = exchange.shelf
        self._rows = exchange.store.tasks
        self._me = exchange.me
        self._side = side

    def saving(self, task: DelegatedTask) -> Call:
        """The store call that keeps *task* as it is; for the transaction of the letter that tells it."""
        return partial(self._rows.save, self._me, self._side, task)

    def logging(self, said: Said) -> Call:
        """The store call that records what was said."""
        return partial(self._rows.log, self._me, said)

    async def keep(self, *calls: Call) -> None:
        """Make *calls* in one transaction."""
        await self._lane.together(*calls)

    async def pack(self, text: str) -> str:
        """*text* as it stands in a letter: one that is too long goes to the shelf and is named instead.

        Raises ``UsageError`` when it is too large for that, too.
        """
        return text if self._shelf is None else await offload(fit, self._shelf, text)

    async def open(self) -> list[DelegatedTask]:
        """Tasks that are not at their end, oldest first."""
        return await self._lane.do(partial(self._rows.open, self._me, self._side))

    async def find(self, task_id: str) -> DelegatedTask | None:
        """One task."""
        return await self._lane.do(partial(self._rows.find, self._me, self._side, task_id))

    async def recent(self, *, limit: int) -> list[DelegatedTask]:
        """The last tasks, newest first."""
        return await self._lane.do(partial(self._rows.recent, self._me, self._side, limit=limit))

    async def history(self, task_id: str) -> list[Said]:
        """What was said of a task, oldest first."""
        return await self._lane.do(partial(self._rows.history, self._me, task_id))
