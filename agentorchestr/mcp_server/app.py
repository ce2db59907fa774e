"""The one local HTTP app of a session: MCP, the same tools as plain HTTP, and the person's control."""

import contextlib
import json
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from agentorchestr.mcp_server.calls import Calls
from agentorchestr.mcp_server.guard import PRINCIPAL, Guard, refused
from agentorchestr.mcp_server.mcp_face import session_manager
from agentorchestr.mcp_server.replies import Answer, answered
from agentorchestr.mcp_server.traffic import OpenRequests, Traffic
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import CONTROL
from agentorchestr.supervisor.desk import Desk, Reply

EVENTS_WAIT_S = 60.0


def build_app(desk: Desk, *, port: int, door: ASGIApp | None = None) -> Starlette:
    """Build the app that will be served on 127.0.0.1:*port*; ``serving.serve`` runs it.

    Routes: ``/mcp``, ``/tools/{name}``, ``/control/events``, ``/control/stop``, ``/control/pause``,
    ``/healthz``; *door* has the WebSockets at ``/`` and looks itself at who comes.
    """
    calls = Calls(desk)
    requests, manager = OpenRequests(), session_manager(desk, calls)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with calls.running(), manager.run():
            yield

    async def tool(request: Request) -> Response:
        try:
            arguments = _json_object(await request.body())
        except ValueError as exc:
            return refused(400, str(exc))
        answer = await calls.call(request.scope[PRINCIPAL], request.path_params["name"], arguments)
        return _as_response(answer)

    async def events(request: Request) -> Response:
        try:
            after, wait_s = _cursor(request)
        except ValueError as exc:
            return refused(400, str(exc))
        return _as_response(await answered(_events(desk, after=after, wait_s=wait_s), during="events"))

    app = Starlette(
        routes=[
            # No GET stream and no DELETE: we start no message and keep no MCP session, and clients
            # take the 405 as just that.
            Route("/mcp", StreamableHTTPASGIApp(manager), methods=["POST"]),
            Route("/tools/{name}", tool, methods=["POST"]),
            Route("/control/events", events, methods=["GET"]),
            *_ending_routes(desk),
            Route("/healthz", _healthz, methods=["GET"]),
            *([WebSocketRoute("/", door)] if door is not None else ()),
        ],
        middleware=[Middleware(Guard, desk=desk, port=port), Middleware(Traffic, requests=requests)],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.calls = calls
    app.state.requests = requests
    return app


def _ending_routes(desk: Desk) -> Sequence[Route]:
    async def stop(_request: Request) -> Response:
        return _as_response(await answered(_stop(desk), during="stop"))

    async def pause(_request: Request) -> Response:
        return _as_response(await answered(_pause(desk), during="pause"))

    return (
        Route("/control/stop", stop, methods=["POST"]),
        Route("/control/pause", pause, methods=["POST"]),
    )


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"ok": True})


async def _events(desk: Desk, *, after: int, wait_s: float) -> Sequence[dict[str, object]]:
    return [_recorded(one) for one in await desk.events(after=after, wait_s=wait_s)]


async def _stop(desk: Desk) -> Reply:
    await desk.stop(by=CONTROL)
    return {"stopping": True}


async def _pause(desk: Desk) -> Reply:
    await desk.pause(by=CONTROL)
    return {"pausing": True}


def _recorded(one: Recorded) -> dict[str, object]:
    return {"seq": one.seq, "at": one.at, "kind": type(one.fact).__name__, "fact": asdict(one.fact)}


def _cursor(request: Request) -> tuple[int, float]:
    """Read ``after`` and ``wait_s``; raises ``ValueError`` with a line for the caller."""
    query = request.query_params
    try:
        after, wait_s = int(query.get("after", "0")), float(query.get("wait_s", "0"))
    except ValueError:
        after, wait_s = -1, 0.0
    if after < 0 or not math.isfinite(wait_s) or wait_s < 0:
        msg = "after has to be a sequence number, wait_s a number of seconds"
        raise ValueError(msg)
    return after, min(wait_s, EVENTS_WAIT_S)


def _json_object(body: bytes) -> dict[str, object]:
    """Read a body of arguments, none standing for ``{}``; raises ``ValueError`` with a caller's line."""
    try:
        found = json.loads(body.decode("utf-8")) if body.strip() else {}
    except (ValueError, RecursionError) as exc:
        msg = "the body is not JSON in UTF-8"
        raise ValueError(msg) from exc
    if not isinstance(found, dict):
        msg = "the body is not a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - the caller's text is at fault, not a type of ours
    return found


def _as_response(answer: Answer) -> Response:
    return Response(answer.as_json(), status_code=answer.status, media_type="application/json")
