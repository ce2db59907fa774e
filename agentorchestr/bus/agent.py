"""Agents that do tasks: functions named after what they can do, by decorator or in a class."""

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agentorchestr.bus.bus import Bus
from agentorchestr.bus.serving import Handler, call
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Address, DelegatedTask, Skill
from agentorchestr.swarm.fetching import NotFetched

Function = TypeVar("Function", bound=Callable[..., Any])
Work = Callable[["Job"], object | Awaitable[object]]
"""Gets a job, may be plain or ``async``; what it returns is the result: text, or else written as JSON."""
MARK = "__agentorchestr_skill__"
WHY_CHARS = 500
TEXT_S = 300.0
"""How long the text of a task that is too large for a letter may take to come."""

logger = logging.getLogger(__name__)


def task(capability: str, *, description: str = "") -> Callable[[Function], Function]:
    """Mark a method of an ``Agent``'s subclass as what does *capability*."""

    def mark(function: Function) -> Function:
        setattr(function, MARK, Skill(capability, description or inspect.getdoc(function) or ""))
        return function

    return mark


@dataclass(frozen=True)
class Job:
    """One task to do. *attempt* above 1: somebody, perhaps we, began it before."""

    task_id: str
    capability: str
    text: str
    requester: Address
    attempt: int
    expires_at: float
    _tell: Callable[[str], None]
    _open: Callable[[], bool]

    def progress(self, note: str) -> None:
        """Tell the requester how far it is; from any thread, and without waiting."""
        self._tell(note)

    @property
    def wanted(self) -> bool:
        """Whether the task was neither cancelled nor ran out of time; a plain function may look here."""
        return self._open()


class Agent:
    """Does tasks for others: ``asyncio.run(agent.run())``.

    At most *at_once* tasks run at a time; more are rejected, so that another agent gets them. An ``async``
    function is cancelled with its task; a plain one runs in a thread to its end. The other options
    are those of ``Bus``.
    """

    def __init__(self, agent_id: str | Address, *, at_once: int = 1, **options: Any) -> None:
        if at_once < 1:
            raise UsageError("an agent does at least one task at a time")
        self.agent_id = agent_id
        self._at_once = at_once
        self._options = options
        self._works: dict[str, tuple[Skill, Work]] = {}
        self._on_message: Handler | None = None
        for _, method in inspect.getmembers(self, callable):
            if isinstance(skill := getattr(method, MARK, None), Skill):
                self._works[skill.name] = (skill, method)

    def task(self, capability: str, *, description: str = "") -> Callable[[Function], Function]:
        """Let the function below do *capability*; its docstring is the description."""

        def add(function: Function) -> Function:
            text = description or inspect.getdoc(function) or ""
            self._works[capability] = (Skill(capability, text), function)
            return function

        return add

    def message(self, function: Function) -> Function:
        """Let the function below have letters and questions; its text is the answer."""
        self._on_message = function
        return function

    def bus(self) -> Bus:
        """The agent's place on the bus, not entered yet."""
        skills = [skill for skill, _ in self._works.values()]
        return Bus(self.agent_id, skills=skills, slots=self._at_once, **self._options)

    async def run(self) -> None:
        """Be on the bus and work, for ever."""
        async with self.bus() as bus:
            await self.serve(bus)

    async def serve(self, bus: Bus) -> None:
        """Work on *bus*, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(Tasks(bus, self._works).run())
            if self._on_message is not None:
                group.create_task(bus.serve(self._on_message, limit=self._at_once))


class Tasks:
    """One agent's tasks under way."""

    def __init__(self, bus: Bus, works: Mapping[str, tuple[Skill, Work]]) -> None:
        self._bus = bus
        self._works = works
        self._running: dict[str, asyncio.Task[None]] = {}
        self._notes: dict[str, list[asyncio.Task[None]]] = {}
        self._loop = asyncio.get_running_loop()
        bus.assignments.follow(self._ended)

    async def run(self) -> None:
        """Begin every task that comes, for ever; how many at a time the bus counts."""
        async with asyncio.TaskGroup() as self._group:
            async for given in self._bus.assignments.tasks():
                work = self._work_for(given.capability)
                if work is None:
                    await self._bus.assignments.reject(given.task_id, f"cannot do {given.capability!r}")
                else:
                    self._running[given.task_id] = self._group.create_task(self._do(given, work))

    def _work_for(self, capability: str) -> Work | None:
        if not capability and len(self._works) == 1:
            [(_, only)] = self._works.values()
            return only  # given to us by name, and we do one thing
        found = self._works.get(capability)
        return None if found is None else found[1]

    def _job(self, given: DelegatedTask, text: str) -> Job:
        assignments = self._bus.assignments
        return Job(
            given.task_id,
            given.capability,
            text,
            given.requester,
            given.attempt,
            given.expires_at,
            _tell=lambda note: self._tell(given.task_id, note),
            _open=lambda: assignments.is_open(given.task_id),
        )

    async def _do(self, given: DelegatedTask, work: Work) -> None:
        assignments = self._bus.assignments
        try:
            text = await self._bus.artifacts.text_of(given.text, given.requester, timeout_s=TEXT_S)
            [result] = await asyncio.gather(call(work, self._job(given, text)), return_exceptions=True)
            # What it said last must be out before its end is.
            await asyncio.gather(*self._notes.pop(given.task_id, ()))
            if isinstance(result, BaseException):
                logger.error("task failed", exc_info=result, extra={"task_id": given.task_id})
                why = f"{type(result).__name__}: {result}"[:WHY_CHARS]
                await assignments.fail(given.task_id, why)
            else:
                await self._complete(given.task_id, result)
        except NotFetched as exc:
            await assignments.fail(given.task_id, f"the text of the task did not come: {exc}"[:WHY_CHARS])
        finally:
            self._running.pop(given.task_id, None)
            self._notes.pop(given.task_id, None)

    async def _complete(self, task_id: str, result: object) -> None:
        try:
            text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
            await self._bus.assignments.complete(task_id, text)
        except (UsageError, TypeError, ValueError) as exc:
            await self._bus.assignments.fail(task_id, f"the result cannot be sent: {exc}"[:WHY_CHARS])

    def _tell(self, task_id: str, note: str) -> None:
        def begin() -> None:
            if task_id in self._running:
                beat = self._group.create_task(self._beat(task_id, note))
                self._notes.setdefault(task_id, []).append(beat)

        self._loop.call_soon_threadsafe(begin)

    async def _beat(self, task_id: str, note: str) -> None:
        await self._bus.assignments.beat(task_id, note)

    def _ended(self, ended: DelegatedTask) -> None:
        running = self._running.get(ended.task_id)
        if running is not None:
            running.cancel()
