"""One reader for everything that comes in on a connection; each message goes to whom its topic belongs."""

import logging
from collections.abc import Callable, Sequence

from agentorchestr.model.carrier import Incoming, Transport
from agentorchestr.swarm import topics

Handler = Callable[[Incoming], None]

KNOWN_TOPICS = 4096

logger = logging.getLogger(__name__)


class Router:
    """Hands each message to the first handler with a matching filter.

    A handler must not block; it acknowledges the message itself, then or later.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._handlers: list[tuple[str, Handler]] = []
        self._known: dict[str, Handler | None] = {}

    def add(self, filters: Sequence[str], handler: Handler) -> None:
        """Send what matches *filters* to *handler* from now on."""
        self._known.clear()
        self._handlers.extend((wanted, handler) for wanted in filters)

    @property
    def filters(self) -> list[str]:
        """Everything added so far."""
        return [wanted for wanted, _ in self._handlers]

    async def run(self) -> None:
        """Read until the transport ends."""
        async for message in self._transport.messages():
            handler = self._handler_of(message.topic)
            if handler is None:
                # A kept session may bring what an earlier process had subscribed to.
                logger.debug("message nobody listens for", extra={"topic": message.topic})
                message.acknowledge()
            else:
                handler(message)

    def _handler_of(self, topic: str) -> Handler | None:
        if topic not in self._known:
            if len(self._known) >= KNOWN_TOPICS:
                self._known.clear()
            self._known[topic] = next(
                (handler for wanted, handler in self._handlers if topics.matches(wanted, topic)), None
            )
        return self._known[topic]
