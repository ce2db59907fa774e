"""Handlers for tests: what an agent does is decided from outside, step by step."""

import asyncio
from collections.abc import AsyncGenerator

from agentorchestr.a2a.handler import Step, artifact, asks, completed, working
from agentorchestr.a2a.tasks import Task


class Puppet:
    """Does what is put into ``steps``; an exception in there is raised, None ends the work."""

    def __init__(self) -> None:
        self.steps: asyncio.Queue[Step | Exception | None] = asyncio.Queue()
        self.started: list[Task] = []
        self.cancelled: list[str] = []
        self.closed = 0
        self.refusal: Exception | None = None

    async def start(self, task: Task) -> AsyncGenerator[Step]:
        self.started.append(task)
        try:
            while (step := await self.steps.get()) is not None:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.closed += 1

    async def cancel(self, task: Task) -> None:
        self.cancelled.append(task.id)
        if self.refusal is not None:
            raise self.refusal

    def do(self, *steps: Step | Exception | None) -> None:
        for step in steps:
            self.steps.put_nowait(step)


class Echo:
    """Answers each task with its own text; asks back when the text is a question."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.started: list[str] = []

    async def start(self, task: Task) -> AsyncGenerator[Step]:
        self.started.append(task.id)
        text = task.history[-1].text
        yield working("thinking")
        if text.endswith("?"):
            yield asks("which one?")
            return
        yield artifact(f"{self.name}{text}", artifact_id="answer")
        yield completed()

    async def cancel(self, task: Task) -> None:
        self.started.remove(task.id)
