"""The user properties of the MQTT binding, each a name that begins with ``a2a-``."""

from agentorchestr.model.carrier import Properties

STATUS = "a2a-status"
STATUS_SOURCE = "a2a-status-source"
ONLINE, OFFLINE = "online", "offline"
VERSION = "a2a-version"
EXTENSIONS = "a2a-extensions"
AUTHORIZATION = "a2a-authorization"
CONTEXT_ID = "a2a-context-id"
RESPONDER = "a2a-responder-agent-id"
ARTIFACT_MODE = "a2a-artifact-mode"
SECURITY_PROFILE = "a2a-security-profile"
CHUNK_NUMBER = "a2a-chunk-seqno"
ITEM_NUMBER = "a2a-ao-seq"
"""Our own: counts the items of one task, so that one that arrives twice is seen once."""

PROTOCOL_VERSION = "1.0"
JSON_TYPE = "application/json"


def json_properties(
    *,
    response_topic: str = "",
    correlation: bytes = b"",
    expiry_s: int | None = None,
    user: tuple[tuple[str, str], ...] = (),
) -> Properties:
    """Properties of a message whose payload is JSON: content type set, payload told to be UTF-8."""
    return Properties(
        response_topic=response_topic,
        correlation=correlation,
        content_type=JSON_TYPE,
        utf8=True,
        expiry_s=expiry_s,
        user=user,
    )


def status_of(properties: Properties) -> tuple[str, str]:
    """The status and its source; what a broker told goes before what the agent said of itself."""
    told = [value for name, value in properties.user if name == STATUS]
    sources = [value for name, value in properties.user if name == STATUS_SOURCE]
    pairs = list(zip(told, [*sources, *[""] * len(told)], strict=False))
    return next((pair for pair in pairs if pair[1] == "broker"), pairs[-1] if pairs else ("", ""))


def version_is_ours(properties: Properties) -> bool:
    """Whether the sender speaks A2A 1.0; on MQTT no version means 1.0."""
    text = properties.user_value(VERSION) or PROTOCOL_VERSION
    return text == PROTOCOL_VERSION or text.startswith(f"{PROTOCOL_VERSION}.")
