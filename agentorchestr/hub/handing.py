"""What the bus has for an a2a-hub client, handed to it as frames: tasks, letters, results."""

import asyncio
from dataclasses import replace
from typing import Any, Protocol

from agentorchestr.bus.bus import Bus
from agentorchestr.bus.calls import FAULT_TYPE
from agentorchestr.bus.letters import Options, make_letter
from agentorchestr.bus.names import short_name
from agentorchestr.errors import OrchestrError
from agentorchestr.hub.frames import BROADCAST, FRAME_BYTES, Frame, FrameType
from agentorchestr.hub.texts import MESSAGE, call_of, parsed, payload_of, priority_of, result_of
from agentorchestr.model.mail import Address, DelegatedState, DelegatedTask, Letter, LetterKind
from agentorchestr.swarm.artifacts import ref_of
from agentorchestr.swarm.fetching import NotFetched

FETCH_S = 60.0
"""How long a large text may take to come; it is fetched as its letter comes in."""
TOO_LARGE = "larger than the 1 MiB that an a2a-hub client takes"


class Link(Protocol):
    """The way back to a client."""

    async def send(self, frame: Frame) -> bool:
        """Whether *frame* was put on its way; False when the client has gone."""
        ...


class ClientGone(OrchestrError):
    """The client left before something could be given to it; it gets it when it is back."""


class Handing:
    """Hands one client what comes for it. A frame it cannot take is never sent: that would cut it off."""

    def __init__(self, bus: Bus, link: Link, capabilities: tuple[str, ...]) -> None:
        self.capabilities = capabilities
        self._bus = bus
        self._link = link
        self._me = short_name(bus.me)

    async def hand_tasks(self) -> None:
        """Hand over each task as it comes, for ever."""
        async with asyncio.TaskGroup() as group:
            async for task in self._bus.assignments.tasks():
                if ref_of(task.text) is None:
                    await self._hand_task(task)
                else:
                    group.create_task(self._hand_large_task(task))

    async def _hand_large_task(self, task: DelegatedTask) -> None:
        try:
            text = await self._bus.artifacts.text_of(task.text, task.requester, timeout_s=FETCH_S)
        except NotFetched as exc:
            await self._bus.assignments.fail(task.task_id, f"its text did not come: {exc}")
        else:
            await self._hand_task(replace(task, text=text))

    async def _hand_task(self, task: DelegatedTask) -> None:
        call = call_of(task, self.capabilities)
        payload = {
            "task_id": task.task_id,
            "capability": call.capability,
            "params": call.params,
            "priority": call.priority,
        }
        frame = self._frame(FrameType.DELEGATE, payload, sender=task.requester)
        if len(frame.text()) > FRAME_BYTES:
            await self._bus.assignments.fail(task.task_id, f"the task is {TOO_LARGE}")
        else:
            # A client that has gone gets it again when it is back: it stays open.
            await self._link.send(frame)

    async def hand_letter(self, letter: Letter) -> None:
        """Broadcasts are all the protocol has for words; one to this client alone names it in ``to``."""
        if letter.kind is LetterKind.ASK:
            await self._refuse_question(letter)
            return
        ref = ref_of(letter.body)
        if ref is not None:
            body = await self._bus.artifacts.text_of(letter.body, letter.sender, timeout_s=FETCH_S)
            letter = replace(letter, body=body, content_type=ref.content_type)
        to = self._me if letter.receiver else BROADCAST
        frame = self._frame(FrameType.BROADCAST, payload_of(letter), sender=letter.sender, to=to)
        if len(frame.text()) > FRAME_BYTES:
            payload = {MESSAGE: f"(a message of {len(letter.body):,} characters is {TOO_LARGE})"}
            frame = self._frame(FrameType.BROADCAST, payload, sender=letter.sender, to=to)
        if not await self._link.send(frame):
            raise ClientGone(f"{self._me} has gone")

    async def _refuse_question(self, letter: Letter) -> None:
        words = "an a2a-hub agent answers tasks only: delegate one to it"
        options = Options(content_type=FAULT_TYPE, answers=letter.letter_id, thread=letter.thread)
        to = letter.reply_to or letter.sender
        await self._bus.exchange.send(make_letter(self._bus.me, to, words, options))

    async def tell_result(self, task: DelegatedTask) -> bool:
        """Tell how a task of the client's ended; False when it has gone."""
        told = await self.status_of(task)
        payload = {"task_id": task.task_id, "result": told["result"], "error": told["error"]}
        return await self._link.send(
            self._frame(FrameType.RESULT, payload, sender=task.assignee or self._bus.me)
        )

    async def status_of(self, task: DelegatedTask, *, within_s: float = FETCH_S) -> dict[str, Any]:
        """How a task stands, as these clients know it; *within_s* is for a large result to come."""
        result, error = None, None
        if task.state is DelegatedState.COMPLETED:
            result, error = await self._result_of(task, within_s)
        elif task.state.final:
            late = task.state is DelegatedState.TIMEOUT
            error = f"timeout: {task.why}" if late else task.why or "failed"
        return {
            "task_id": task.task_id,
            "status": task.state.value,
            "result": result,
            "error": error,
            "priority": priority_of(parsed(task.text)),
            "retry_count": max(task.attempt - 1, 0),
        }

    async def _result_of(self, task: DelegatedTask, within_s: float) -> tuple[object, str | None]:
        """The result, or why the client cannot have it."""
        try:
            text = await self._bus.artifacts.text_of(
                task.result, task.assignee or self._bus.me, timeout_s=within_s
            )
        except NotFetched as exc:
            return None, f"completed, but its result did not come: {exc}"
        result = result_of(text)
        frame = self._frame(FrameType.RESULT, {"result": result}, sender=self._bus.me)
        # Room for the rest of the frame.
        is_large = len(frame.text()) > FRAME_BYTES - 4096
        return (None, f"completed, but its result is {TOO_LARGE}") if is_large else (result, None)

    def _frame(self, type_: FrameType, payload: dict[str, Any], *, sender: Address, to: str = "") -> Frame:
        return Frame(type=type_, sender=short_name(sender), to=to or self._me, payload=payload)
