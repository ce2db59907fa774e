"""Tasks taken for others: each is worked on once, and its requester hears of it until it ends."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Self

from agentorchestr.journal.mailbox_tasks import Side
from agentorchestr.model.mail import DelegatedState, DelegatedTask, Letter, LetterKind
from agentorchestr.swarm.exchange import Exchange
from agentorchestr.swarm.task_book import TaskBook
from agentorchestr.swarm.task_wire import WHY_CHARS, Cancel, Offer, Update, Word, task_letter

BEAT_S = 30.0
WORD_LIFE_S = 86400.0
"""How long a requester is tried to be told how its task ended."""

TaskListener = Callable[[DelegatedTask], None]

logger = logging.getLogger(__name__)


class Assignments:
    """The assignee's side. Make it before its exchange is entered, and enter it after.

    A task is in progress once ``tasks`` has given it out, and from then on its requester hears a heartbeat
    every *beat_s*. What was not finished is given out again after a restart. With *slots* tasks at hand,
    more are rejected, so that another agent gets them.
    """

    def __init__(self, exchange: Exchange, *, slots: int = 1, beat_s: float = BEAT_S) -> None:
        self._exchange = exchange
        self.book = TaskBook(exchange, Side.ASSIGNEE)
        """The tasks we took."""
        self._me = exchange.me
        self._clock = exchange.clock
        self._slots = slots
        self._beat_s = beat_s
        self._open: dict[str, DelegatedTask] = {}
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
        self._loaded = asyncio.Event()
        self._listeners: list[TaskListener] = []
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._stack = contextlib.AsyncExitStack()
        exchange.serve([LetterKind.TASK, LetterKind.TASK_CANCEL], self._hear)

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._stop)
            for task in await self.book.open():
                self._begin(task)
            self._beating = self._group.create_task(self._beat())
            self._loaded.set()
            self._stack = stack.pop_all()
        await self._show_slots()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.__aexit__(None, None, None)

    async def tasks(self) -> AsyncIterator[DelegatedTask]:
        """Tasks to work on, those of an earlier life first, then new ones as they come, for ever."""
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            task = self._open.get(self._waiting.popleft())
            if task is not None:
                yield await self._say(task, Word.IN_PROGRESS, state=DelegatedState.IN_PROGRESS)

    async def complete(self, task_id: str, result: str) -> bool:
        """End a task with its result; False when it is not open any more.

        Raises ``UsageError`` when the result is too large for a letter.
        """
        packed = await self.book.pack(result)
        return await self._end(task_id, Word.COMPLETED, DelegatedState.COMPLETED, result=packed)

    async def fail(self, task_id: str, why: str) -> bool:
        """End a task that could not be done; False when it is not open any more."""
        return await self._end(task_id, Word.FAILED, DelegatedState.FAILED, why=why)

    async def reject(self, task_id: str, why: str) -> bool:
        """Give a task back, so that another agent gets it; False when it is not open any more."""
        return await self._end(task_id, Word.REJECTED, DelegatedState.FAILED, why=why)

    async def beat(self, task_id: str, note: str = "") -> bool:
        """Tell the requester that the task goes on; False when it is not open any more."""
        task = self._open.get(task_id)
        if task is None or task.state is not DelegatedState.IN_PROGRESS:
            return False
        await self._say(task, Word.IN_PROGRESS, state=task.state, why=note, life_s=3 * self._beat_s)
        return True

    def is_open(self, task_id: str) -> bool:
        """Whether the task still wants to be done."""
        return task_id in self._open

    def follow(self, listener: TaskListener) -> None:
        """Tell *listener* of tasks that ended without us: cancelled by the requester, or out of time."""
        self._listeners.append(listener)

    async def _hear(self, letter: Letter) -> None:
        await self._loaded.wait()
        if letter.kind is LetterKind.TASK_CANCEL:
            await self._hear_cancel(letter)
        elif (offer := Offer.read(letter)) is None:
            logger.warning("task not understood", extra={"from": str(letter.sender)})
        elif offer.expires_at > self._clock.now():
            await self._hear_offer(letter, offer)

    async def _hear_offer(self, letter: Letter, offer: Offer) -> None:
        known = await self.book.find(offer.task_id)
        task = DelegatedTask(
            offer.task_id,
            letter.sender,
            offer.capability,
            offer.text,
            assignee=self._me,
            attempt=offer.attempt,
            created_at=self._clock.now(),
            expires_at=offer.expires_at,
        )
        if known is not None and known.requester != letter.sender:
            why = "another requester gave a task with this id"
            await self._exchange.send(self._letter(task, Word.REJECTED, why=why))
        elif known is None or known.attempt < offer.attempt:
            await self._consider(task, known)

    async def _consider(self, task: DelegatedTask, known: DelegatedTask | None) -> None:
        """Take a new task, or an old one that was offered again."""
        if known is not None and known.state is DelegatedState.COMPLETED:
            await self._say(
                replace(known, attempt=task.attempt), Word.COMPLETED, state=known.state, result=known.result
            )
        elif (mine := self._open.get(task.task_id)) is not None:
            again = replace(mine, attempt=task.attempt, expires_at=task.expires_at)
            self._open[task.task_id] = again
            if again.state is DelegatedState.IN_PROGRESS:
                await self._say(again, Word.IN_PROGRESS, state=again.state)
        elif len(self._open) >= self._slots:
            await self._exchange.send(self._letter(task, Word.REJECTED, why="no free slot"))
        else:
            await self.book.keep(self.book.saving(task))
            self._begin(task)
            await self._show_slots()

    async def _hear_cancel(self, letter: Letter) -> None:
        cancel = Cancel.read(letter)
        task = None if cancel is None else self._open.get(cancel.task_id)
        if cancel is None or task is None or task.requester != letter.sender:
            return
        if cancel.attempt >= task.attempt:
            await self._end_without_us(task, DelegatedState.FAILED, why=cancel.why)

    def _begin(self, task: DelegatedTask) -> None:
        self._open[task.task_id] = task
        self._timers[task.task_id] = self._group.create_task(self._expire(task.task_id))
        self._waiting.append(task.task_id)
        self._wake.set()

    async def _expire(self, task_id: str) -> None:
        """The one timer of one task."""
        while (task := self._open.get(task_id)) is not None:
            left_s = task.expires_at - self._clock.now()
            if left_s <= 0:
                await self._end_without_us(task, DelegatedState.TIMEOUT, why="its time to live is over")
                return
            await self._clock.pause(left_s)

    async def _end_without_us(self, task: DelegatedTask, state: DelegatedState, *, why: str) -> None:
        ended = replace(task, state=state, why=why, updated_at=self._clock.now())
        await self.book.keep(self.book.saving(ended))
        await self._close(ended)
        for listener in self._listeners:
            listener(ended)

    async def _end(
        self, task_id: str, word: Word, state: DelegatedState, *, result: str = "", why: str = ""
    ) -> bool:
        task = self._open.get(task_id)
        if task is None:
            return False
        await self._close(await self._say(task, word, state=state, result=result, why=why))
        return True

    async def _close(self, task: DelegatedTask) -> None:
        self._open.pop(task.task_id, None)
        timer = self._timers.pop(task.task_id, None)
        if timer is not None and timer is not asyncio.current_task():
            timer.cancel()
        await self._show_slots()

    async def _say(
        self,
        task: DelegatedTask,
        word: Word,
        *,
        state: DelegatedState,
        result: str = "",
        why: str = "",
        life_s: float = WORD_LIFE_S,
    ) -> DelegatedTask:
        """Store a task as it now is and tell its requester, in one transaction."""
        now = self._clock.now()
        told = replace(task, state=state, result=result, why=why, updated_at=now)
        letter = self._letter(told, word, result=result, why=why, expires_at=now + life_s)
        await self._exchange.send(letter, self.book.saving(told))
        if told.task_id in self._open:
            self._open[told.task_id] = told
        return told

    def _letter(
        self, task: DelegatedTask, word: Word, *, result: str = "", why: str = "", expires_at: float = 0.0
    ) -> Letter:
        update = Update(
            task_id=task.task_id, attempt=task.attempt, said=word, result=result, why=why[:WHY_CHARS]
        )
        return task_letter(
            self._me,
            task.requester,
            LetterKind.TASK_UPDATE,
            update,
            expires_at=expires_at or self._clock.now() + WORD_LIFE_S,
        )

    async def _beat(self) -> None:
        while True:
            await self._clock.pause(self._beat_s)
            for task_id in list(self._open):
                await self.beat(task_id)

    async def _show_slots(self) -> None:
        free = max(self._slots - len(self._open), 0)
        if free != self._exchange.card.free_slots:
            await self._exchange.show(replace(self._exchange.card, free_slots=free))

    def _stop(self) -> None:
        self._beating.cancel()
        for timer in self._timers.values():
            timer.cancel()
