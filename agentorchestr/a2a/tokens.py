"""Bearer tokens of requests: where a requester gets one, and what a responder asks of one.

Signatures are checked by whoever implements ``TokenReader``; the claims are checked here. A login at the
broker replaces neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agentorchestr.a2a.errors import A2AError, Fault
from agentorchestr.a2a.topics import Pool
from agentorchestr.model.mail import Address

_SCHEME = "Bearer "


class TokenSource(Protocol):
    """Gets the tokens that other agents ask for."""

    async def token_for(self, agent: Address | Pool, *, refresh: bool) -> str:
        """A token for *agent*, empty when it asks for none; with *refresh* the last one may be stale."""


class TokenReader(Protocol):
    """Checks a token's signature."""

    async def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a genuine *token*, else an empty mapping."""


@dataclass(frozen=True)
class TokenRules:
    """What a token must say to let a request in."""

    issuer: str
    audience: str
    scopes: frozenset[str] = frozenset()

    def allow(self, claims: Mapping[str, Any], *, now: float) -> bool:
        """Whether a token with *claims* is of our issuer, for us, still good and wide enough."""
        audience, expires = claims.get("aud"), claims.get("exp")
        scopes = str(claims.get("scope", "")).split()
        return (
            claims.get("iss") == self.issuer
            and self.audience in ([audience] if isinstance(audience, str) else audience or ())
            and isinstance(expires, int | float)
            and expires > now
            and self.scopes <= set(scopes)
        )


@dataclass(frozen=True)
class Gate:
    """Lets in requests with a good token only."""

    reader: TokenReader
    rules: TokenRules

    async def check(self, authorization: str, *, now: float) -> None:
        """Raise ``A2AError`` unless *authorization* holds a good token. Nothing of it stands in the error."""
        token = authorization.removeprefix(_SCHEME)
        genuine = await self.reader.claims(token) if authorization.startswith(_SCHEME) else {}
        if not self.rules.allow(genuine, now=now):
            raise A2AError(Fault.INVALID_REQUEST, "the request carries no valid token for this agent")


def bearer(token: str) -> str:
    """The value of the authorization property."""
    return _SCHEME + token
