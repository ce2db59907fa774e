"""Between our properties of a message and paho's."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from agentorchestr.model.carrier import Properties, Will

NONE = Properties()


def empty(packet: int) -> PahoProperties:
    """No properties yet, for one of paho's ``PacketTypes``."""
    return PahoProperties(packet)  # type: ignore[no-untyped-call]  # paho leaves it untyped


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
