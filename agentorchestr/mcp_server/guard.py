"""Who may come in: the right Host, no foreign Origin, a living token. It stands before every route."""

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from agentorchestr.mcp_server.replies import to_json
from agentorchestr.supervisor.desk import Desk, Principal, PrincipalKind

PRINCIPAL = "agentorchestr.principal"
"""The key of the caller in the ASGI scope."""
OPEN_PATHS = frozenset({"/healthz"})
TOKEN_CHARS = 512


class Guard:
    """ASGI middleware: refuses with 403 or 401, and puts the principal into the scope.

    Host is checked because a web page may reach a loopback port through a name of its own that resolves
    to 127.0.0.1; a page's Origin is checked because a browser sends simple requests without asking.
    """

    def __init__(self, app: ASGIApp, *, desk: Desk, port: int) -> None:
        self._app = app
        self._desk = desk
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"lifespan", "websocket"}:
            # Who comes by WebSocket is looked at by the door that takes it; without one nobody is let in.
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refusal = self._check(scope)
        await (refusal or self._app)(scope, receive, send)

    def _check(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if [host.lower() for host in headers.getlist("host")] not in [[host] for host in self._hosts]:
            return refused(403, "wrong Host header")
        if any(origin not in self._origins for origin in headers.getlist("origin")):
            return refused(403, "wrong Origin header")
        if scope["path"] in OPEN_PATHS:
            return None
        principal = self._principal(headers)
        if principal is None:
            return unauthorized(given="authorization" in headers)
        if not _may_enter(principal, scope["path"]):
            return refused(403, f"the token of a {principal.kind} does not open {_shown(scope['path'])}")
        scope[PRINCIPAL] = principal
        return None

    def _principal(self, headers: Headers) -> Principal | None:
        given = headers.getlist("authorization")
        if len(given) != 1:
            return None
        scheme, _, token = given[0].strip().partition(" ")
        token = token.strip()
        # A comparison in constant time takes ASCII only.
        if scheme.lower() != "bearer" or not token or not token.isascii() or len(token) > TOKEN_CHARS:
            return None
        return self._desk.principal_of(token)


def _may_enter(principal: Principal, path: str) -> bool:
    is_control = path == "/control" or path.startswith("/control/")
    return is_control == (principal.kind is PrincipalKind.CONTROL)


def _shown(path: str) -> str:
    return "/" + path.split("/", 2)[1][:20]


def refused(status: int, why: str, *, hint: str = "", headers: dict[str, str] | None = None) -> Response:
    """A response with ``{"error", "hint"}`` as its body."""
    return Response(
        to_json({"error": why, "hint": hint}),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def unauthorized(*, given: bool) -> Response:
    """401: no token, or one that is unknown or stale."""
    challenge = 'Bearer realm="agentorchestr"'
    if given:
        challenge += ', error="invalid_token"'
    return refused(
        401,
        "unknown or stale token" if given else "no token",
        hint="Send the token of this session as Authorization: Bearer",
        headers={"WWW-Authenticate": challenge},
    )
