"""What can go wrong in an A2A exchange: codes of core A2A, of JSON-RPC, and of the MQTT profile's transport.

Three codes mean one thing in core A2A and another in the profile. The shape of ``error.data`` tells them
apart: an object with ``a2a_error`` is the profile's, an array of typed objects (or nothing) is core.
"""

from collections.abc import Mapping
from enum import Enum

from agentorchestr.errors import BusError

_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_DOMAIN = "a2a-protocol.org"
_RETRYABLE = frozenset({"request_expired", "responder_unavailable"})
_CORE_CODES = range(-32099, -32000)


class Fault(Enum):
    """A code with the word that goes into its data, and whether it is one of the transport's."""

    PARSE = (-32700, "PARSE_ERROR", False)
    INVALID_REQUEST = (-32600, "INVALID_REQUEST", False)
    METHOD_NOT_FOUND = (-32601, "METHOD_NOT_FOUND", False)
    INVALID_PARAMS = (-32602, "INVALID_PARAMS", False)
    INTERNAL = (-32603, "INTERNAL_ERROR", False)
    TASK_NOT_FOUND = (-32001, "TASK_NOT_FOUND", False)
    TASK_NOT_CANCELABLE = (-32002, "TASK_NOT_CANCELABLE", False)
    PUSH_NOT_SUPPORTED = (-32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", False)
    UNSUPPORTED_OPERATION = (-32004, "UNSUPPORTED_OPERATION", False)
    CONTENT_TYPE_NOT_SUPPORTED = (-32005, "CONTENT_TYPE_NOT_SUPPORTED", False)
    INVALID_AGENT_RESPONSE = (-32006, "INVALID_AGENT_RESPONSE", False)
    EXTENDED_CARD_NOT_CONFIGURED = (-32007, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", False)
    EXTENSION_SUPPORT_REQUIRED = (-32008, "EXTENSION_SUPPORT_REQUIRED", False)
    VERSION_NOT_SUPPORTED = (-32009, "VERSION_NOT_SUPPORTED", False)
    REQUEST_EXPIRED = (-32003, "request_expired", True)
    RESPONDER_UNAVAILABLE = (-32004, "responder_unavailable", True)
    TRANSPORT_PROTOCOL = (-32005, "transport_protocol_error", True)

    @property
    def code(self) -> int:
        """The JSON-RPC error code."""
        return self.value[0]

    @property
    def word(self) -> str:
        """``a2a_error`` of a transport error, else the reason of core A2A."""
        return self.value[1]

    @property
    def transport(self) -> bool:
        """Whether the code is one of the MQTT profile's own."""
        return self.value[2]


class A2AError(BusError):
    """An error one side of an A2A exchange tells the other. ``fault`` is None for codes we do not know."""

    def __init__(self, fault: Fault | None, message: str, *, code: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.fault = fault
        self.code = fault.code if fault else code

    @property
    def retry_eligible(self) -> bool:
        """Whether the same request may be tried again as it is."""
        return self.fault is not None and self.fault.word in _RETRYABLE

    def to_wire(self) -> dict[str, object]:
        """The JSON-RPC ``error`` object, in the shape of its family."""
        wire: dict[str, object] = {"code": self.code, "message": str(self)}
        if self.fault is not None and self.fault.transport:
            wire["data"] = {"a2a_error": self.fault.word}
        elif self.fault is not None and self.code in _CORE_CODES:
            wire["data"] = [{"@type": _INFO, "reason": self.fault.word, "domain": _DOMAIN}]
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, object]) -> "A2AError":
        """Read an ``error`` object. Raises ``ValueError`` when it is none."""
        code, message, data = wire.get("code"), wire.get("message"), wire.get("data")
        if not isinstance(code, int) or isinstance(code, bool):
            raise ValueError("an error without a code")  # noqa: TRY004 - of what was read, not of an argument
        word = data.get("a2a_error") if isinstance(data, Mapping) else None
        return cls(_named(code, word), str(message or "no message"), code=code)


class NoReply(BusError):
    """Nobody answered a request, in all its attempts. Whether it was carried out is not known."""


def _named(code: int, word: object) -> Fault | None:
    transport = word is not None
    return next(
        (
            fault
            for fault in Fault
            if fault.code == code and fault.transport == transport and (not transport or fault.word == word)
        ),
        None,
    )
