"""Requests in flight: correlation, attempts, and which of the replies count.

Correlation data is made new for each attempt and means nothing; a reply belongs to a request by it alone.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.codec import read_item, read_reply, request_payload
from agentorchestr.a2a.errors import A2AError, NoReply
from agentorchestr.a2a.policy import RequestPolicy
from agentorchestr.a2a.tasks import Json, Message, Task, Update
from agentorchestr.a2a.tokens import TokenSource, bearer
from agentorchestr.a2a.topics import Pool, Topics
from agentorchestr.a2a.waiting import within
from agentorchestr.clock import Clock
from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import Delivered, Incoming, Properties, Transport
from agentorchestr.model.mail import Address

logger = logging.getLogger(__name__)

_CORRELATION_BYTES = 16


@dataclass(frozen=True)
class Answer:
    """One valid reply."""

    correlation: bytes
    result: Json
    update: Update | None
    error: A2AError | None
    properties: Properties
    payload: bytes

    @property
    def responder(self) -> str:
        """The agent id that the reply names as the one who has the task now; empty when it names none."""
        return self.properties.user_value(names.RESPONDER)


@dataclass
class Call:
    """One request, through all its attempts."""

    to: Address | Pool
    method: str
    params: Json
    rpc_id: str
    task_id: str = ""
    """What every item of the answer must be about; empty for requests without a task."""
    wants_items: bool = True
    answers: asyncio.Queue[Answer] = field(default_factory=asyncio.Queue)
    correlations: set[bytes] = field(default_factory=set)


class Calls:
    """The map of what is in flight on one reply topic, and the rules of trying again."""

    def __init__(
        self,
        transport: Transport,
        *,
        reply_topic: str,
        clock: Clock,
        topics: Topics,
        policy: RequestPolicy,
        tokens: TokenSource | None,
        dice: random.Random,
    ) -> None:
        self._transport = transport
        self._reply_topic = reply_topic
        self._clock = clock
        self._topics = topics
        self.policy = policy
        self._tokens = tokens
        self._dice = dice
        self._in_flight: dict[bytes, Call] = {}

    def take(self, incoming: Incoming) -> None:
        """Give a reply to the request it belongs to; anything else is a protocol error and passed over."""
        call = self._in_flight.get(incoming.properties.correlation)
        if incoming.topic != self._reply_topic or call is None:
            logger.debug("reply without a request", extra={"topic": incoming.topic})
            return
        answer = read_answer(incoming, call)
        if answer is None:
            logger.debug("reply not valid", extra={"topic": incoming.topic})
            return
        call.answers.put_nowait(answer)

    def close(self, call: Call) -> None:
        """Forget *call*; what still comes for it is passed over."""
        for correlation in call.correlations:
            self._in_flight.pop(correlation, None)

    async def first(self, call: Call, *, send_to: Callable[[], Address | Pool]) -> Answer:
        """Publish until the first valid answer, of any attempt. Raises ``NoReply``."""
        policy, published = self.policy, False
        for attempt in range(policy.attempts):
            if attempt and (late := await self._next(call, policy.backoff(attempt - 1, self._dice))):
                return late
            accepted = await self._publish(call, send_to(), retry=attempt > 0)
            published = published or accepted
            answer = await self._next(call, policy.first_reply_s) if accepted else None
            last = attempt == policy.attempts - 1
            if answer is not None and (last or not self._tried_again(answer)):
                return answer
        if published:
            raise NoReply(f"{call.to} did not answer {call.method}, tried {policy.attempts} times")
        raise NoReply(f"{call.method} for {call.to} was not accepted by the broker")

    async def next(self, call: Call) -> Answer | None:
        """The next item of a stream, None after the idle limit."""
        return await self._next(call, self.policy.stream_idle_s)

    def _tried_again(self, answer: Answer) -> bool:
        return self.policy.retry_transport_errors and bool(answer.error and answer.error.retry_eligible)

    async def _next(self, call: Call, seconds: float) -> Answer | None:
        return await within(self._clock, seconds, call.answers.get())

    async def _publish(self, call: Call, to: Address | Pool, *, retry: bool) -> bool:
        correlation = self._new_correlation(call)
        user: tuple[tuple[str, str], ...] = ((names.VERSION, names.PROTOCOL_VERSION),)
        if self._tokens is not None and (token := await self._tokens.token_for(to, refresh=retry)):
            user = (*user, (names.AUTHORIZATION, bearer(token)))
        properties = names.json_properties(
            response_topic=self._reply_topic,
            correlation=correlation,
            expiry_s=self.policy.expiry_s,
            user=user,
        )
        payload = request_payload(call.rpc_id, call.method, call.params)
        try:
            delivered = await self._transport.publish(
                self._topics.request(to), payload, properties=properties
            )
        except (CarrierGone, CarrierRefused) as exc:
            logger.info("request not published", extra={"reason": str(exc)})
            return False
        return delivered is not Delivered.REFUSED

    def _new_correlation(self, call: Call) -> bytes:
        correlation = _made_up()
        while correlation in self._in_flight:
            correlation = _made_up()
        self._in_flight[correlation] = call
        call.correlations.add(correlation)
        return correlation


def read_answer(incoming: Incoming, call: Call) -> Answer | None:
    """The reply in *incoming* when it is a valid one to *call*, else None."""
    reply = read_reply(incoming.payload)
    properties = incoming.properties
    if reply is None or (isinstance(call.to, Pool) and not properties.user_value(names.RESPONDER)):
        return None
    update = None
    if reply.error is None:
        if not isinstance(reply.result, dict):
            return None
        update = read_item(reply.result) if call.wants_items else None
        if call.wants_items and (update is None or not _is_about(update, call.task_id)):
            return None
    return Answer(properties.correlation, reply.result, update, reply.error, properties, incoming.payload)


def _made_up() -> bytes:
    # Any bytes are allowed. Responders in use read them as text, and end when they are none.
    return secrets.token_hex(_CORRELATION_BYTES).encode()


def _is_about(update: Update, task_id: str) -> bool:
    match update:
        case Task():
            return update.id == task_id
        case Message():
            return update.task_id in {"", task_id}
        case _:
            return update.task_id == task_id
