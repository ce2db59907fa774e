"""A requester, and a raw client as the agent it asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agentorchestr.a2a.requester import Requester, new_message
from agentorchestr.a2a.tasks import Task, Update
from tests.a2a.bus import Bus
from tests.a2a.fake_clock import FakeClock
from tests.a2a.raw import ANN, BEN, CONTEXT, TASK, Raw

DONE = "TASK_STATE_COMPLETED"
WORKING = "TASK_STATE_WORKING"


@asynccontextmanager
async def asking(bus: Bus, clock: FakeClock, **options: Any) -> AsyncIterator[tuple[Requester, Raw]]:
    async with bus.wire(str(ANN)) as wire, Raw(bus, BEN) as ben:
        await ben.listen(f"$a2a/v1/request/{BEN}")
        async with Requester(wire, ANN, clock=clock, **options) as requester:
            yield requester, ben


def asked(requester: Requester, text: str = "do it") -> "asyncio.Task[Task]":
    message = new_message(text, task_id=TASK, context_id=CONTEXT)
    return asyncio.get_running_loop().create_task(requester.ask(BEN, message))


async def collect(requester: Requester, seen: list[Update]) -> None:
    message = new_message("x", task_id=TASK, context_id=CONTEXT)
    seen.extend([update async for update in requester.stream(BEN, message)])


def task_json(state: str, **more: Any) -> dict[str, Any]:
    return {"id": TASK, "contextId": CONTEXT, "status": {"state": state}} | more
