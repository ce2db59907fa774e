"""Which items of a stream were seen: QoS 1 may bring one twice, and a retry may open a second stream."""

from agentorchestr.a2a import properties as names
from agentorchestr.a2a.calls import Answer
from agentorchestr.a2a.tasks import ArtifactUpdate


class Seen:
    """The items of one request.

    A responder of ours numbers the items of a task, over all its streams; a number not above the last one was
    seen. Others may number the pieces of an artifact. Without a number an item was seen when it is the same
    as the one before it, byte for byte, unless it is a piece to append: there the same may come twice.
    """

    def __init__(self) -> None:
        self._last_number = -1
        self._chunks: set[tuple[bytes, str, str, str]] = set()
        self._last: tuple[bytes, bytes] | None = None

    def is_new(self, answer: Answer) -> bool:
        """Whether *answer* was not seen; it is from now on."""
        number = answer.properties.user_value(names.ITEM_NUMBER)
        if number.isascii() and number.isdecimal():
            new = int(number) > self._last_number
            self._last_number = max(self._last_number, int(number))
            return new
        update, chunk = answer.update, answer.properties.user_value(names.CHUNK_NUMBER)
        if isinstance(update, ArtifactUpdate) and (chunk or update.append):
            key = (answer.correlation, update.task_id, update.artifact.artifact_id, chunk)
            new = not chunk or key not in self._chunks
            self._chunks.add(key)
            return new
        this = (answer.correlation, answer.payload)
        new = not answer.payload or this != self._last
        self._last = this
        return new
