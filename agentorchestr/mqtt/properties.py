"""Between our properties of a message and paho's."""

import re

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from agentorchestr.model.carrier import Properties, Will

NONE = Properties()


def empty(packet: int) -> PahoProperties:
    """No properties yet, for one of paho's ``PacketTypes``."""
    return PahoProperties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped


def to_paho(properties: Properties) -> PahoProperties | None:
    """What paho sends with a publish; None when there is nothing to send."""
    if properties == NONE:
        return None
    return _fill(empty(PacketTypes.PUBLISH), properties)


def of_will(will: Will) -> PahoProperties:
    """What paho sends with a will."""
    filled = _fill(empty(PacketTypes.WILLMESSAGE), will.properties)
    filled.WillDelayInterval = will.delay_s
    return filled


def _fill(target: PahoProperties, properties: Properties) -> PahoProperties:
    if properties.response_topic:
        target.ResponseTopic = properties.response_topic
    if properties.correlation:
        target.CorrelationData = properties.correlation
    if properties.content_type:
        target.ContentType = properties.content_type
    if properties.utf8:
        target.PayloadFormatIndicator = 1
    if properties.expiry_s is not None:
        target.MessageExpiryInterval = properties.expiry_s
    if properties.user:
        target.UserProperty = list(properties.user)
    return target


def from_paho(found: PahoProperties | None) -> Properties:
    """What came with a message."""
    if found is None or found.isEmpty():  # type: ignore[no-untyped-call]  # paho leaves it untyped
        return NONE
    return Properties(
        response_topic=getattr(found, "ResponseTopic", ""),
        correlation=bytes(getattr(found, "CorrelationData", b"")),
        content_type=getattr(found, "ContentType", ""),
        utf8=getattr(found, "PayloadFormatIndicator", 0) == 1,
        expiry_s=getattr(found, "MessageExpiryInterval", None),
        user=tuple((key, value) for key, value in getattr(found, "UserProperty", [])),
    )


# Mosquitto hangs up on a text with one of these; MQTT 5.0, section 1.5.4, allows it to.
UNSAYABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
TEXT_BYTES = 65535


def sayable(topic: str, properties: Properties) -> bool:
    """Whether a broker takes these words: one that does not ends the connection, so it must not see them."""
    words = [topic, properties.response_topic, properties.content_type]
    words += [word for pair in properties.user for word in pair]
    topics = [topic] + [properties.response_topic] * bool(properties.response_topic)
    return (
        all(map(_is_text, words))
        and all(one and not {"+", "#"} & set(one) for one in topics)
        and len(properties.correlation) <= TEXT_BYTES
        and (properties.expiry_s is None or 0 <= properties.expiry_s < 2**32)
    )


def _is_text(word: str) -> bool:
    return UNSAYABLE.search(word) is None and len(word.encode()) <= TEXT_BYTES


def packet_bytes(topic: str, payload: bytes, properties: Properties) -> int:
    """An upper bound of the size of the publish on the wire, a few bytes above the true one."""
    words = [topic, properties.response_topic, properties.content_type]
    words += [word for pair in properties.user for word in pair]
    text = sum(len(word.encode()) + 3 for word in words)
    return len(payload) + len(properties.correlation) + text + 32
