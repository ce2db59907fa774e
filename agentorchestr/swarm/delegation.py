"""Tasks given to others: who gets one, how long it may take, and what becomes of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from agentorchestr.journal.mailbox_tasks import Said, Side
from agentorchestr.model.mail import Address, AgentCard, DelegatedState, DelegatedTask, Letter, LetterKind
from agentorchestr.swarm.directory import Directory
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.picking import Patience, Watch, deadline, pick
from agentorchestr.swarm.task_book import TaskBook
from agentorchestr.swarm.task_wire import (
    Update,
    Word,
    cancel_letter,
    fault_of,
    new_task,
    offer_of,
    task_letter,
)

TaskListener = Callable[[DelegatedTask], None]
OFFERED, LOST, MOVED, ENDED = "offered", "lost", "moved", "ended"
"""What the requester itself records; the rest are words of assignees."""
TTL_S = 600.0

logger = logging.getLogger(__name__)


class Delegation:
    """The requester's side. Make it before its exchange is entered, and enter it after.

    By capability, a task moves on to the next agent when one rejects it, leaves or goes silent; by name it
    waits for that agent. A result counts only from the assignee and for its own attempt; whatever else is
    said of a task is recorded and refused. Open tasks go on after a restart.
    """

    def __init__(self, exchange: Exchange, directory: Directory, *, patience: Patience | None = None) -> None:
        self._exchange = exchange
        self._directory = directory
        self.book = TaskBook(exchange, Side.REQUESTER)
        """Our tasks and what was said of them, also what was refused."""
        self._me = exchange.me
        self._clock = exchange.clock
        self._patience = patience or Patience()
        self._open: dict[str, Watch] = {}
        self._begun: set[str] = set()
        self._loaded = asyncio.Event()
        self._listeners: list[TaskListener] = []
        self._stack = contextlib.AsyncExitStack()
        self._group = asyncio.TaskGroup()
        exchange.serve([LetterKind.TASK_UPDATE], self._hear)
        directory.follow(self._see)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._group)
            stack.callback(self._stop)
            await self.look()
            self._loaded.set()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.__aexit__(None, None, None)

    async def delegate(
        self,
        text: str,
        *,
        capability: str = "",
        to: Address | None = None,
        ttl_s: float = TTL_S,
        task_id: str = "",
    ) -> DelegatedTask:
        """Give a task to whoever can do *capability*, or to one agent. On disk when this returns.

        *task_id* is an id nobody used before; one is made by default. Raises ``UsageError`` when it is too
        large, or when both or neither are named.
        """
        now, packed = self._clock.now(), await self.book.pack(text)
        task = new_task(self._me, packed, capability=capability, to=to, ttl_s=ttl_s, now=now, task_id=task_id)
        self._begun.add(task.task_id)
        await self.book.keep(self.book.saving(task))
        self._begin(Watch(task, heard_at=now))
        return task

    async def look(self) -> None:
        """Go on with the open tasks on disk: of an earlier life, or left there by another process of ours."""
        for task in await self.book.open():
            said = await self.book.history(task.task_id)
            if task.task_id not in self._begun:
                offered_at = {one.who: one.at for one in said if one.said == OFFERED}
                losses = sum(one.said == LOST for one in said)
                self._begin(Watch(task, offered_at, losses, heard_at=self._clock.now()))

    def look_soon(self) -> None:
        """As ``look``, without waiting."""
        self._group.create_task(self.look())

    async def cancel(self, task_id: str, *, why: str = "cancelled by its requester") -> bool:
        """End an open task; False when it is not open."""
        watch = self._open.get(task_id)
        if watch is None:
            return False
        async with watch.lock:
            if not watch.task.state.final:
                await self._end(watch, DelegatedState.FAILED, why=why)
        return True

    async def task(self, task_id: str) -> DelegatedTask | None:
        """One task of ours as it stands."""
        watch = self._open.get(task_id)
        if watch is not None:
            return watch.task
        return await self.book.find(task_id)

    async def wait(self, task_id: str, *, timeout_s: float) -> DelegatedTask | None:
        """The task once it is at its end, or as it stands after *timeout_s*; None for an unknown id."""
        watch = self._open.get(task_id)
        if watch is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await watch.ended.wait()
        return await self.task(task_id)

    def follow(self, listener: TaskListener) -> None:
        """Tell *listener* of every change of our tasks: taken up, moved on, ended."""
        self._listeners.append(listener)

    def _begin(self, watch: Watch) -> None:
        self._begun.add(watch.task.task_id)
        self._open[watch.task.task_id] = watch
        self._group.create_task(self._watch(watch), name=watch.task.task_id)

    def _stop(self) -> None:
        for watch in self._open.values():
            watch.stopped = True
            watch.wake.set()

    async def _watch(self, watch: Watch) -> None:
        """See one task to its end; woken by its own deadline or by news of it."""
        while not watch.stopped and not watch.task.state.final:
            watch.wake.clear()
            async with watch.lock:
                moment = await self._step(watch)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(moment - self._clock.now(), 0.0)):
                    await watch.wake.wait()

    async def _step(self, watch: Watch) -> float:
        """Do what is due for a task; when to look again without news."""
        now = self._clock.now()
        moment, why = deadline(watch, self._patience)
        if watch.task.state.final:
            return now
        if now >= watch.task.expires_at:
            await self._end(watch, DelegatedState.TIMEOUT, why="its time to live is over")
        elif watch.wants_assignee:
            cards = self._directory.agents(watch.task.capability, online=True)
            agent = pick(watch, cards, others=self._open.values(), now=now, patience=self._patience)
            if agent is None:
                return moment if moment > now else watch.task.expires_at
            await self._offer(watch, agent)
        elif now >= moment:
            await self._lose(watch, why)
        else:
            return moment
        return now

    async def _offer(self, watch: Watch, agent: Address) -> None:
        now = self._clock.now()
        task = replace(
            watch.task,
            assignee=agent,
            attempt=watch.task.attempt + 1,
            state=DelegatedState.PENDING,
            why="",
            updated_at=now,
        )
        letter = task_letter(self._me, agent, LetterKind.TASK, offer_of(task), expires_at=task.expires_at)
        said = Said(task.task_id, now, agent, task.attempt, OFFERED, accepted=True)
        await self._exchange.send(letter, self.book.saving(task), self.book.logging(said))
        watch.offered_at[agent], watch.heard_at = now, now
        card = self._directory.find(agent)
        watch.gone_at = None if card is None or card.online else now
        self._set(watch, task)

    async def _lose(self, watch: Watch, why: str, *, counts: bool = True) -> None:
        """Take the task from its assignee; another may get it."""
        task = watch.task
        if task.assignee is None:
            return
        losses = watch.losses + counts
        if losses >= self._patience.losses:
            await self._end(watch, DelegatedState.FAILED, why=f"{why}; {losses} agents lost it")
            return
        now = self._clock.now()
        open_again = replace(task, state=DelegatedState.PENDING, assignee=None, why=why, updated_at=now)
        said = Said(
            task.task_id, now, task.assignee, task.attempt, LOST if counts else MOVED, accepted=True, why=why
        )
        letter = cancel_letter(self._me, task, task.assignee, why, now=now)
        await self._exchange.send(letter, self.book.saving(open_again), self.book.logging(said))
        watch.losses, watch.gone_at = losses, None
        self._set(watch, open_again)
        if watch.is_named:
            await self._offer(watch, task.assignee)

    async def _end(self, watch: Watch, state: DelegatedState, *, why: str) -> None:
        """End a task ourselves; whoever works on it is told."""
        now = self._clock.now()
        task = replace(watch.task, state=state, why=why, updated_at=now)
        said = Said(task.task_id, now, self._me, task.attempt, ENDED, accepted=True, why=why)
        keep = (self.book.saving(task), self.book.logging(said))
        if task.assignee is not None and task.attempt > 0:
            await self._exchange.send(cancel_letter(self._me, task, task.assignee, why, now=now), *keep)
        else:
            await self.book.keep(*keep)
        self._close(watch, task)

    def _close(self, watch: Watch, task: DelegatedTask) -> None:
        self._open.pop(task.task_id, None)
        self._set(watch, task)
        watch.ended.set()
        for other in self._open.values():
            if other.wants_assignee:
                other.wake.set()

    async def _hear(self, letter: Letter) -> None:
        """An assignee's word, or somebody's who says so."""
        await self._loaded.wait()
        update = Update.read(letter)
        if update is None:
            logger.warning("word of a task not understood", extra={"from": str(letter.sender)})
            return
        watch = self._open.get(update.task_id)
        if watch is None:
            known = await self.book.find(update.task_id)
            if known is not None:
                await self._refuse(letter, update, f"it had ended: {known.state}")
            return
        async with watch.lock:
            fault = fault_of(watch.task, letter.sender, update)
            if fault:
                await self._refuse(letter, update, fault)
            else:
                await self._take(watch, update, letter.sender)

    async def _take(self, watch: Watch, update: Update, who: Address) -> None:
        now = self._clock.now()
        watch.heard_at = now
        said = Said(update.task_id, now, who, update.attempt, update.said, accepted=True, why=update.why)
        task = replace(watch.task, updated_at=now, why=update.why, result=update.result)
        if update.said is Word.IN_PROGRESS:
            is_news = task.state is not DelegatedState.IN_PROGRESS
            task = replace(task, state=DelegatedState.IN_PROGRESS, result="")
            news = (self.book.logging(said),) if is_news else ()
            await self.book.keep(self.book.saving(task), *news)
            self._set(watch, task)
        elif update.said is Word.REJECTED and not watch.is_named:
            await self.book.keep(self.book.logging(said))
            await self._lose(watch, update.why or f"{who} rejected it", counts=False)
        else:
            ended = DelegatedState.COMPLETED if update.said is Word.COMPLETED else DelegatedState.FAILED
            task = replace(task, state=ended)
            await self.book.keep(self.book.saving(task), self.book.logging(said))
            self._close(watch, task)

    async def _refuse(self, letter: Letter, update: Update, why: str) -> None:
        now = self._clock.now()
        said = Said(update.task_id, now, letter.sender, update.attempt, update.said, accepted=False, why=why)
        logger.warning("word of a task refused", extra={"from": str(letter.sender), "why": why})
        await self.book.keep(self.book.logging(said))

    def _see(self, _before: AgentCard | None, now: AgentCard | None) -> None:
        """A card changed: somebody left, came, or has room."""
        seen = now or _before
        if seen is None:
            return
        for watch in self._open.values():
            if watch.task.assignee == seen.address and not watch.wants_assignee:
                is_here = now is not None and now.online
                watch.gone_at = None if is_here else watch.gone_at or self._clock.now()
                watch.wake.set()
            elif watch.wants_assignee:
                watch.wake.set()

    def _set(self, watch: Watch, task: DelegatedTask) -> None:
        watch.task = task
        watch.wake.set()
        for listener in self._listeners:
            listener(task)
