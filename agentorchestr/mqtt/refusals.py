"""Why a connection did not come up: one line that says what is wrong, and what to do next."""

import socket
import ssl

from paho.mqtt.reasoncodes import ReasonCode

from agentorchestr.errors import CarrierGone, CarrierRefused
from agentorchestr.mqtt.endpoint import (
    CA_VARIABLE,
    CERT_VARIABLE,
    KEY_VARIABLE,
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    Endpoint,
)

EXPIRED, NOT_YET_VALID, OTHER_NAME, OTHER_IP = 10, 9, 62, 64
"""``verify_code`` of OpenSSL."""
NO_LOGIN = {0x86, 0x87}
"""MQTT 5.0, section 3.2.2.2: bad user name or password; not authorized."""
_GIVE_CERTIFICATE = (
    f"does it ask for a client certificate? {CERT_VARIABLE} and {KEY_VARIABLE} name the files of yours"
)


def not_open(endpoint: Endpoint, exc: OSError | CarrierGone) -> CarrierGone | CarrierRefused:
    """What came in the way of a connection: refused when trying again does not help, else gone."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _not_trusted(endpoint, exc)
    if isinstance(exc, ssl.SSLError):
        return _no_tls(endpoint, exc)
    if endpoint.tls is not None and isinstance(exc, CarrierGone):
        # TLS 1.3 tells of a missing client certificate only after the handshake, by closing.
        return CarrierRefused(f"{endpoint} closed the connection before it answered", hint=_GIVE_CERTIFICATE)
    return CarrierGone(f"no broker answers at {endpoint}: {_words(exc)}", hint=_next_try(endpoint, exc))


def refused(endpoint: Endpoint, client_id: str, reason: ReasonCode, *, has_login: bool) -> CarrierRefused:
    """What the broker said to our greeting."""
    hint = ""
    if reason.value in NO_LOGIN:
        variables = f"{USER_VARIABLE} and {PASSWORD_VARIABLE}"
        hint = f"check {variables}, or the login file" if has_login else f"set {variables}, or a login file"
    return CarrierRefused(
        f"the broker at {endpoint} refused the connection of {client_id}: {reason}", hint=hint
    )


def _not_trusted(endpoint: Endpoint, exc: ssl.SSLCertVerificationError) -> CarrierRefused:
    if exc.verify_code in {EXPIRED, NOT_YET_VALID}:
        hint = "whoever runs the broker has to renew it; is the clock of this machine right?"
    elif exc.verify_code in {OTHER_NAME, OTHER_IP}:
        hint = f"write the host as its certificate names it, not {endpoint.host}"
    else:
        hint = f"{CA_VARIABLE} names the file of the authority to trust"
    return CarrierRefused(
        f"the certificate of {endpoint} is not trusted: {exc.verify_message.rstrip('.')}", hint=hint
    )


def _no_tls(endpoint: Endpoint, exc: ssl.SSLError) -> CarrierRefused:
    if "ALERT" in (exc.reason or ""):
        return CarrierRefused(f"{endpoint} ended the TLS handshake: {exc.reason}", hint=_GIVE_CERTIFICATE)
    return CarrierRefused(
        f"what answers at {endpoint} does not speak TLS: {exc.reason or exc}",
        hint=f"name the TLS port of the broker, or go without TLS: mqtt://{endpoint.host}:{endpoint.port}",
    )


def _next_try(endpoint: Endpoint, exc: OSError | CarrierGone) -> str:
    if isinstance(exc, socket.gaierror):
        return f"is {endpoint.host} written right?"
    if isinstance(exc, ConnectionResetError) and endpoint.tls is not None:
        return f"does it speak TLS there? Without: mqtt://{endpoint.host}:{endpoint.port}"
    if isinstance(exc, CarrierGone) and endpoint.unix is None:
        return f"does it ask for TLS there? With: mqtts://{endpoint.host}:{endpoint.port}"
    return "does the broker run, and is its port right?"


def _words(exc: OSError | CarrierGone) -> str:
    if isinstance(exc, CarrierGone):
        return "it closed the connection before it answered"
    return exc.strerror or str(exc) or "no answer in time"
