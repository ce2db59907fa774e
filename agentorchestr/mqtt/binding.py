"""Find out whether a broker lets a login write under its own name only."""

import secrets

from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.model.carrier import LETTERS_ROOT, Delivered, Properties
from agentorchestr.model.mail import Address
from agentorchestr.mqtt.connection import MqttConnection
from agentorchestr.mqtt.endpoint import Endpoint, Login

SESSION_S = 60
CONNECTS_S = 1.0
BRIEF = Properties(expiry_s=1)


async def binds_names(endpoint: Endpoint, login: Login, me: Address) -> bool:
    """Whether *login* may write letters as *me*, and is refused any other name, whatever its client id is.

    Tried with letters to nobody, under a client id that is not *me*, since who may choose that freely is not
    bound by it. Only our own login can be tried: that the rule is one for all is up to who runs the broker.
    A kept session of ours is left as it is.

    Raises ``CarrierGone`` when no broker answers, ``CarrierRefused`` when it refuses the login.
    """
    mark = secrets.token_hex(6)
    stranger = Address(me.org, me.unit, f"stranger-{mark}")
    try:
        return await _is_held_to(me, stranger, endpoint, login, client_id=str(stranger))
    except CarrierRefused:
        # It may insist on our own client id.
        return await _is_held_to(me, stranger, endpoint, login, client_id=str(me))


async def _is_held_to(
    me: Address, stranger: Address, endpoint: Endpoint, login: Login, *, client_id: str
) -> bool:
    made = MqttConnection(endpoint, client_id=client_id, login=login, will=None, session_expiry_s=SESSION_S)
    nobody = f"{LETTERS_ROOT}/in/{stranger}"
    async with made as line:
        if not await line.wait_connected(timeout_s=CONNECTS_S):
            raise CarrierGone(f"no broker answers at {endpoint}")
        as_other = await line.publish(f"{nobody}/{stranger}", b"", properties=BRIEF)
        as_me = await line.publish(f"{nobody}/{me}", b"", properties=BRIEF)
    return as_other is Delivered.REFUSED and as_me is not Delivered.REFUSED
