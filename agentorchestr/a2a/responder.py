"""Answer other agents: take requests, have them worked on, tell what comes of it.

Rules R1 to R21 of the checklist in ``docs/a2a.md``. What the handler does is its own; what a request means,
which of them are the same and who hears of what is decided here.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.background import Background
from agentorchestr.a2a.card import CardPublisher
from agentorchestr.a2a.codec import BadRequest, RpcRequest, from_json, item, read_request
from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.handler import AgentHandler
from agentorchestr.a2a.limits import PROFILE_LIMITS, ResponderLimits
from agentorchestr.a2a.methods import TaskMethods, not_offered, with_history
from agentorchestr.a2a.replies import Outlet, ReplyPath, Stream
from agentorchestr.a2a.runs import Run, Runs
from agentorchestr.a2a.store import UUID4, MemoryTaskStore, TaskRecord, TaskStore, forget_old
from agentorchestr.a2a.tasks import Json, Message, SendParams, StatusUpdate, Task
from agentorchestr.a2a.tokens import Gate
from agentorchestr.a2a.topics import PROFILE_TOPICS, Topics
from agentorchestr.a2a.turns import Turns
from agentorchestr.a2a.waiting import within
from agentorchestr.clock import SYSTEM_CLOCK, Clock
from agentorchestr.model.carrier import Incoming, Transport
from agentorchestr.model.mail import Address

logger = logging.getLogger(__name__)

_PRUNE_EVERY = 100
"""Tasks between two looks for old ones."""


class Responder:
    """One agent's answers, over one connection; enter it with ``async with``.

    On entry it subscribes, deals with tasks an earlier process left (*resume*: works on them again, which the
    handler must bear; else they have failed), and only then shows the card as online.
    """

    def __init__(
        self,
        transport: Transport,
        me: Address,
        handler: AgentHandler,
        *,
        store: TaskStore | None = None,
        card: CardPublisher | None = None,
        clock: Clock = SYSTEM_CLOCK,
        topics: Topics = PROFILE_TOPICS,
        limits: ResponderLimits = PROFILE_LIMITS,
        more_filters: Sequence[str] = (),
        output_modes: Sequence[str] = (),
        gate: Gate | None = None,
        resume: bool = False,
        events: bool = False,
    ) -> None:
        self._transport = transport
        self._me = me
        self._handler = handler
        self._store = store or MemoryTaskStore()
        self._card = card
        self._clock = clock
        self._topics = topics
        self._limits = limits
        self._filters = [topics.request(me), *more_filters]
        self._output_modes = frozenset(output_modes)
        self._gate = gate
        self._resume = resume
        self._events = events
        self._new_tasks = 0
        self._outlet = Outlet(transport, me.agent, clock=clock, heartbeat_s=limits.heartbeat_s)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._transport.subscribe(self._filters)
        ready = asyncio.Event()
        await self._stack.enter_async_context(Background(self._live(ready)))
        await ready.wait()
        if self._card is not None:
            await self._stack.enter_async_context(self._card)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    def go_on(self, task_id: str) -> None:
        """Give a task that asked for something to the handler again: what it asked for is there otherwise."""
        self._runs.go_on(task_id)

    async def _live(self, ready: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._runs = Runs(
                self._handler,
                self._store,
                clock=self._clock,
                group=group,
                max_running=self._limits.max_running,
                told=self._announce,
            )
            self._methods = TaskMethods(self._store, self._runs)
            self._turns = Turns(self._runs, clock=self._clock, max_open=self._limits.max_open)
            self._prune()
            self._runs.take_over(resume=self._resume)
            ready.set()
            async for incoming in self._transport.messages():
                await self._take(incoming)
                incoming.acknowledge()

    async def _take(self, incoming: Incoming) -> None:
        if incoming.retained:
            logger.debug("retained request dropped", extra={"topic": incoming.topic})
            return
        properties = incoming.properties
        path = ReplyPath(
            properties.response_topic,
            properties.correlation,
            None,
            asked_mode=properties.user_value(names.ARTIFACT_MODE),
            pool=self._topics.pool_of(incoming.topic),
        )
        try:
            request = self._read(incoming)
            path = replace(path, rpc_id=request.id)
            await self._admit(incoming, request)
            self._carry_out(request, path)
        except BadRequest as exc:
            self._refuse(replace(path, rpc_id=exc.rpc_id), exc)
        except A2AError as exc:
            self._refuse(path, exc)

    def _read(self, incoming: Incoming) -> RpcRequest:
        request = read_request(incoming.payload)
        properties = incoming.properties
        if not properties.response_topic or not properties.correlation:
            fault, text = Fault.TRANSPORT_PROTOCOL, "a request carries Response Topic and Correlation Data"
        elif properties.user_value(names.SECURITY_PROFILE):
            fault, text = Fault.TRANSPORT_PROTOCOL, "this agent does not speak that security profile"
        elif properties.expiry_s == 0:
            fault, text = Fault.REQUEST_EXPIRED, "the request was too old when it came"
        elif not names.version_is_ours(properties):
            fault, text = Fault.VERSION_NOT_SUPPORTED, f"this agent speaks A2A {names.PROTOCOL_VERSION}"
        else:
            return request
        raise BadRequest(fault, text, rpc_id=request.id)

    async def _admit(self, incoming: Incoming, request: RpcRequest) -> None:
        if self._gate is not None:
            token = incoming.properties.user_value(names.AUTHORIZATION)
            await self._gate.check(token, now=self._clock.now())
        context = incoming.properties.user_value(names.CONTEXT_ID)
        message = request.params.get("message")
        if context and (not isinstance(message, dict) or message.get("contextId") != context):
            raise A2AError(Fault.INVALID_PARAMS, f"{names.CONTEXT_ID} and the payload's contextId differ")

    def _carry_out(self, request: RpcRequest, path: ReplyPath) -> None:
        match request.method:
            case "SendMessage" | "SendStreamingMessage":
                self._send(from_json(SendParams, request.params), path, request.method)
            case "SubscribeToTask":
                self._subscribe(request, path)
            case "CancelTask":
                self._cancel(request, path)
            case "GetTask":
                self._answer(path, self._methods.get(request.params))
            case "ListTasks":
                self._answer(path, self._methods.page(request.params, self._asker(path)))
            case unknown:
                raise not_offered(unknown)

    def _send(self, params: SendParams, path: ReplyPath, method: str) -> None:
        message, wanted = params.message, params.configuration
        if UUID4.fullmatch(message.task_id) is None:
            raise A2AError(Fault.INVALID_PARAMS, "message.taskId: not a UUIDv4 made by the requester")
        if wanted.task_push_notification_config is not None:
            raise not_offered("CreateTaskPushNotificationConfig")
        modes = frozenset(wanted.accepted_output_modes)
        if modes and self._output_modes and not modes & self._output_modes:
            raise A2AError(Fault.CONTENT_TYPE_NOT_SUPPORTED, "none of the accepted output modes is offered")
        known = self._methods.record(message.task_id)
        run = self._turns.next(known, message) if known else self._begun(message, path)
        if run is not None and run.hears(path):
            return  # QoS 1 brought the request twice
        record = run.record if run else self._methods.known({"id": message.task_id})
        snapshot = with_history(record.task, wanted.history_length)
        if run is None or wanted.return_immediately:
            self._answer(path, item(snapshot))
        elif method == "SendStreamingMessage":
            self._stream(path, run, snapshot)
        else:
            self._group.create_task(self._held(path, run, wanted.history_length))

    def _begun(self, message: Message, path: ReplyPath) -> Run:
        self._new_tasks += 1
        if self._new_tasks % _PRUNE_EVERY == 0:
            self._prune()
        return self._turns.first(message, self._asker(path), pool=path.pool)

    def _prune(self) -> None:
        limits = self._limits
        forget_old(self._store, before=self._clock.now() - limits.keep_s, at_most=limits.keep_tasks)

    def _subscribe(self, request: RpcRequest, path: ReplyPath) -> None:
        record = self._methods.known(request.params)
        run = self._runs.live(record.task.id)
        if run is not None:
            self._stream(path, run, run.task)
        elif record.task.state.terminal:
            raise A2AError(Fault.UNSUPPORTED_OPERATION, "the task is over: GetTask has it")
        else:
            self._answer(path, item(record.task))

    def _cancel(self, request: RpcRequest, path: ReplyPath) -> None:
        record = self._methods.known(request.params)
        self._group.create_task(self._cancelled(record, request, path))

    async def _cancelled(self, record: TaskRecord, request: RpcRequest, path: ReplyPath) -> None:
        try:
            await self._runs.cancel(record)
        except A2AError as exc:
            await self._outlet.refuse(path, exc)
        else:
            await self._outlet.answer(path, self._methods.get(request.params))

    async def _held(self, path: ReplyPath, run: Run, history_length: int | None) -> None:
        """Wait a little for the end; then the task as it is, and what follows for those who still listen."""
        await within(self._clock, self._limits.hold_s, run.wait_ended())
        if run.error is not None:
            await self._outlet.refuse(path, run.error)
            return
        stream = self._attached(path, run, with_history(run.task, history_length))
        await self._serve(run, stream)

    def _stream(self, path: ReplyPath, run: Run, snapshot: Task) -> None:
        stream = self._attached(path, run, snapshot)
        self._group.create_task(self._serve(run, stream))

    def _attached(self, path: ReplyPath, run: Run, snapshot: Task) -> Stream:
        stream = Stream(path, lambda: run.task)
        stream.tell(snapshot, run.record.items)
        run.streams.append(stream)
        return stream

    async def _serve(self, run: Run, stream: Stream) -> None:
        await self._outlet.serve(stream)
        run.streams.remove(stream)

    def _answer(self, path: ReplyPath, result: Json) -> None:
        self._group.create_task(self._outlet.answer(path, result))

    def _refuse(self, path: ReplyPath, error: A2AError) -> None:
        if path.topic:
            self._group.create_task(self._outlet.refuse(path, error))
        else:
            logger.info("request without a way back dropped", extra={"reason": str(error)})

    def _asker(self, path: ReplyPath) -> str:
        """Whose reply topic it is: only its owner can read the answer, so only its tasks are listed there."""
        return str(self._topics.owner(path.topic) or "")

    def _announce(self, update: StatusUpdate) -> None:
        if self._events:
            self._group.create_task(self._outlet.announce(self._topics.event(self._me), update))
