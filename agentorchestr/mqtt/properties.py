"""Between our properties of a message and paho's."""

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
