"""Whether a sender's name on a broker is proven by its login."""

import logging

from agentorchestr.bus.line import Line
from agentorchestr.errors import CarrierGone
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.binding import binds_names
from agentorchestr.mqtt.endpoint import address_of_login

logger = logging.getLogger(__name__)


async def names_are_bound(line: Line, me: Address) -> bool:
    """Whether letters that *me* gets over *line* name their true sender, as far as can be found out now.

    On a named broker this takes a login written as *me*, and a trial. A broker that does not answer now
    is not trusted until the next start. Raises ``CarrierRefused`` when the broker says no to the login.
    """
    if line.names_bound:
        return True
    if line.login is None or address_of_login(line.login) != me:
        return False
    try:
        return await binds_names(line.endpoint, line.login, me)
    except CarrierGone as exc:
        logger.warning("senders are not verified", extra={"broker": str(line.endpoint), "why": str(exc)})
        return False
