"""Ask other agents: send, stream, look after, cancel, go on.

Rules Q1 to Q23 and H2 to H4 of the checklist in ``docs/a2a.md``.
"""

import random
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from types import TracebackType
from typing import Self

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.background import Background
from agentorchestr.a2a.calls import Answer, Call, Calls
from agentorchestr.a2a.codec import from_json, to_json
from agentorchestr.a2a.errors import A2AError, Fault, NoReply
from agentorchestr.a2a.policy import PROFILE_POLICY, RequestPolicy
from agentorchestr.a2a.seen import Seen
from agentorchestr.a2a.states import TaskState
from agentorchestr.a2a.store import UUID4
from agentorchestr.a2a.tasks import (
    Json,
    Message,
    Part,
    Role,
    StatusUpdate,
    Task,
    TaskStatus,
    Update,
    applied,
    ends_stream,
)
from agentorchestr.a2a.tokens import TokenSource
from agentorchestr.a2a.topics import PROFILE_TOPICS, Pool, Topics, reply_suffix
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.errors import UsageError
from agentorchestr.model.carrier import Transport
from agentorchestr.model.mail import Address

Receiver = Address | Pool
_OWNERS_KEPT = 10_000


def new_message(content: str | tuple[Part, ...], *, task_id: str = "", context_id: str = "") -> Message:
    """A turn of ours. Without *task_id* it begins a new task, without *context_id* a new conversation."""
    parts = (Part(text=content),) if isinstance(content, str) else content
    return Message(
        message_id=str(uuid.uuid4()),
        role=Role.USER,
        parts=parts,
        task_id=task_id or str(uuid.uuid4()),
        context_id=context_id or str(uuid.uuid4()),
    )


class Requester:
    """One agent's questions to others, over one connection; enter it with ``async with``.

    *secure* says that the connection is encrypted; a source of tokens is refused without it.
    """

    def __init__(
        self,
        transport: Transport,
        me: Address,
        *,
        clock: Clock = SYSTEM_CLOCK,
        topics: Topics = PROFILE_TOPICS,
        policy: RequestPolicy = PROFILE_POLICY,
        tokens: TokenSource | None = None,
        secure: bool = False,
        dice: random.Random | None = None,
    ) -> None:
        if tokens is not None and not secure:
            raise UsageError("tokens are sent over TLS only", hint="use an mqtts:// broker")
        self._transport = transport
        self._filter = topics.reply_filter(me)
        self._owners: dict[str, Address] = {}
        self._stack = AsyncExitStack()
        self._calls = Calls(
            transport,
            reply_topic=topics.reply(me, reply_suffix()),
            clock=clock,
            topics=topics,
            policy=policy,
            tokens=tokens,
            dice=dice or random.SystemRandom(),
        )

    async def __aenter__(self) -> Self:
        await self._transport.subscribe([self._filter])
        await self._stack.enter_async_context(Background(self._read()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    async def stream(self, to: Receiver, message: Message) -> AsyncGenerator[Update]:
        """Send *message* and yield what comes of it, until the task ends or asks for something.

        Raises ``A2AError`` when the other side answers with an error, ``NoReply`` when nobody answers.
        """
        if UUID4.fullmatch(message.task_id) is None:
            raise ValueError("the id of a task is a UUIDv4 that the requester makes")
        params: Json = {"message": to_json(message)}
        async with aclosing(self.items(to, "SendStreamingMessage", params, task_id=message.task_id)) as items:
            async for answer in items:
                if answer.update is not None:
                    yield answer.update

    async def ask(self, to: Receiver, message: Message) -> Task:
        """Send *message* and wait for what comes of it, as one task. Raises like ``stream``."""
        task = Task(message.task_id, TaskStatus(TaskState.UNSPECIFIED), context_id=message.context_id)
        async with aclosing(self.stream(to, message)) as updates:
            async for update in updates:
                if isinstance(update, Message):
                    return _answered(task, update)
                task = applied(task, update)
        return task

    async def get_task(self, to: Receiver, task_id: str) -> Task:
        """The task as its responder has it. Raises ``A2AError`` (not found), ``NoReply``."""
        return await self._about(to, "GetTask", task_id)

    async def cancel_task(self, to: Receiver, task_id: str) -> Task:
        """Have the task stopped. Raises ``A2AError`` when it is unknown or over, ``NoReply``."""
        return await self._about(to, "CancelTask", task_id)

    async def subscribe_task(self, to: Receiver, task_id: str) -> AsyncGenerator[Update]:
        """The task as it is and then what comes of it. Raises like ``stream``."""
        async with aclosing(self.items(to, "SubscribeToTask", {"id": task_id}, task_id=task_id)) as items:
            async for answer in items:
                if answer.update is not None:
                    yield answer.update

    async def answers(self, to: Receiver) -> bool:
        """Whether somebody is there: any reply to a question about no task at all is a sign of life."""
        try:
            await self.get_task(to, str(uuid.uuid4()))
        except A2AError:
            return True
        except NoReply:
            return False
        return True

    async def list_tasks(
        self, to: Receiver, *, context_id: str = "", page_size: int = 50
    ) -> tuple[Task, ...]:
        """Our own tasks there, newest first, at most one page."""
        params: Json = {"pageSize": page_size} | ({"contextId": context_id} if context_id else {})
        result = await self.call(to, "ListTasks", params)
        return tuple(from_json(Task, row) for row in result.get("tasks", ()))

    async def call(self, to: Receiver, method: str, params: Json, *, task_id: str = "") -> Json:
        """Call any method that has one answer. Raises ``A2AError``, ``NoReply``."""
        call = self._new_call(to, method, params, task_id=task_id, wants_items=False)
        try:
            answer = await self._calls.first(call, send_to=lambda: self.receiver(to, task_id))
        finally:
            self._calls.close(call)
        self._note(to, task_id, answer)
        if answer.error is not None:
            raise answer.error
        return answer.result

    async def items(self, to: Receiver, method: str, params: Json, *, task_id: str) -> AsyncGenerator[Answer]:
        """Call a method that answers with a stream, and yield each new item. Raises like ``stream``."""
        call = self._new_call(to, method, params, task_id=task_id, wants_items=True)
        seen = Seen()
        try:
            answer: Answer | None = await self._calls.first(call, send_to=lambda: self.receiver(to, task_id))
            while True:
                answer = answer or await self._looked_up(to, task_id)
                self._note(to, task_id, answer)
                if answer.error is not None:
                    raise answer.error
                if seen.is_new(answer):
                    yield answer
                if answer.update is not None and ends_stream(answer.update):
                    return
                answer = await self._calls.next(call)
        finally:
            self._calls.close(call)

    def receiver(self, to: Receiver, task_id: str) -> Receiver:
        """Who has the task now: whoever its latest reply named, else *to*."""
        return self._owners.get(task_id, to)

    def _new_call(self, to: Receiver, method: str, params: Json, *, task_id: str, wants_items: bool) -> Call:
        target = self.receiver(to, task_id)
        return Call(target, method, params, str(uuid.uuid4()), task_id=task_id, wants_items=wants_items)

    async def _about(self, to: Receiver, method: str, task_id: str) -> Task:
        call = self._new_call(to, method, {"id": task_id}, task_id=task_id, wants_items=True)
        try:
            answer = await self._calls.first(call, send_to=lambda: self.receiver(to, task_id))
        finally:
            self._calls.close(call)
        self._note(to, task_id, answer)
        return _task_of(answer, task_id)

    async def _looked_up(self, to: Receiver, task_id: str) -> Answer:
        """What GetTask says of a stream that went silent; never the request again: it was heard."""
        task = await self.get_task(to, task_id)
        return Answer(b"", {"task": to_json(task)}, task, None, names.json_properties(), b"")

    def _note(self, to: Receiver, task_id: str, answer: Answer) -> None:
        if not answer.responder or not task_id or (answer.error and answer.error.retry_eligible):
            return
        try:
            named = Address.parse(answer.responder) if "/" in answer.responder else None
            self._owners[task_id] = named or Address(to.org, to.unit, answer.responder)
        except ValueError:
            return
        if len(self._owners) > _OWNERS_KEPT:
            del self._owners[next(iter(self._owners))]

    async def _read(self) -> None:
        async for incoming in self._transport.messages():
            self._calls.take(incoming)
            incoming.acknowledge()


def _task_of(answer: Answer, task_id: str) -> Task:
    if answer.error is not None:
        raise answer.error
    match answer.update:
        case Task() as task:
            return task
        case StatusUpdate(context_id=context_id, status=status):
            return Task(task_id, status, context_id=context_id)
        case _:
            raise A2AError(Fault.INVALID_AGENT_RESPONSE, "the answer holds no task")


def _answered(task: Task, message: Message) -> Task:
    """An agent may answer with a message and make no task of it."""
    status = TaskStatus(TaskState.COMPLETED, message=message)
    return replace(task, status=status, context_id=message.context_id or task.context_id)
