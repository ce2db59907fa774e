"""A small MCP client over streamable HTTP, standard library only.

The official client costs most of a second per start, and a practice agent starts in a fraction of that;
see docs/decisions/practice-mcp-client.md. Source: MCP specification 2025-06-18, transports and lifecycle.
"""

import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from agentorchestr import __version__
from agentorchestr.errors import OrchestrError

PROTOCOL = "2025-06-18"
USER_AGENT = f"agentorchestr-practice/{__version__}"
CALL_LIMIT_S = 300.0
ANSWER_BYTES = 8 * 1024 * 1024
# A call that was cut off may have been carried out: only these are asked again.
REPEATABLE = ("get_", "wait_", "list_", "read_", "report_", "review_")

NOT_JSON_RPC = "the MCP server answered with something that is not JSON-RPC"


class McpError(OrchestrError):
    """The MCP server cannot be used: it refused us, or answered nonsense."""


class McpLost(McpError):
    """The connection broke before the answer was complete. ``sent`` says if the request went out."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ToolFailed(McpError):
    """The server understood the call and the tool said no."""


class Interrupted(OrchestrError):
    """A person interrupted the turn, or the agent is ending."""


class McpClient:
    """One server, one token. Calls come from one thread; ``abort`` from any."""

    def __init__(
        self, url: str, headers: Mapping[str, str], *, stop: threading.Event, patience_s: float = 30.0
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise McpError(f"the practice agent speaks to http://host:port/path only, not to {url}")
        self._host, self._port, self._path = parts.hostname, parts.port or 80, parts.path or "/"
        self._headers = dict(headers)
        self._stop = stop
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._live: socket.socket | None = None
        self._session = ""
        self._version = ""
        self._last_id = 0

    def list_tools(self) -> tuple[str, ...]:
        """The names of the tools our token may use; this is also what makes us known as ready."""
        found = self._patiently("tools/list", {}, repeatable=True)
        tools = found.get("tools")
        if not isinstance(tools, list):
            raise McpError(NOT_JSON_RPC)
        return tuple(str(tool.get("name", "")) for tool in tools if isinstance(tool, dict))

    def call(self, tool: str, arguments: Mapping[str, object]) -> dict[str, Any]:
        """Call *tool* and return its JSON object.

        A server that is just being restarted is waited for. Raises ``ToolFailed`` with the tool's own
        words, ``McpLost`` when the answer was cut off, ``Interrupted`` after ``abort``.
        """
        found = self._patiently(
            "tools/call", {"name": tool, "arguments": dict(arguments)}, repeatable=tool.startswith(REPEATABLE)
        )
        texts = [str(part.get("text", "")) for part in found.get("content", []) if isinstance(part, dict)]
        if found.get("isError"):
            raise ToolFailed(" ".join(texts) or "no reason given")
        return _as_object(found.get("structuredContent"), "\n".join(texts))

    def abort(self) -> None:
        """Break the call under way; the caller's thread raises ``Interrupted``. Set the stop event first."""
        with self._lock:
            if self._live is not None:
                _shut(self._live)

    def _patiently(self, method: str, params: dict[str, object], *, repeatable: bool) -> dict[str, Any]:
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                self._ensure_initialized()
                return self._request(method, params)
            except McpLost as lost:
                if (lost.sent and not repeatable) or time.monotonic() > deadline:
                    raise
                if self._stop.wait(0.25):
                    raise Interrupted("interrupted") from lost

    def _ensure_initialized(self) -> None:
        if self._version:
            return
        hello: dict[str, object] = {
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "agentorchestr-practice", "version": __version__},
        }
        self._version = str(self._request("initialize", hello).get("protocolVersion") or PROTOCOL)
        self._exchange({"jsonrpc": "2.0", "method": "notifications/initialized"}, wanted=None)

    def _request(self, method: str, params: dict[str, object]) -> dict[str, Any]:
        self._last_id += 1
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        answer = self._exchange(message, wanted=self._last_id)
        if "error" in answer:
            error = answer["error"]
            raise ToolFailed(str(error.get("message", error)) if isinstance(error, dict) else str(error))
        result = answer.get("result")
        if not isinstance(result, dict):
            raise McpError(NOT_JSON_RPC)
        return result

    def _exchange(self, message: dict[str, object], *, wanted: int | None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=CALL_LIMIT_S)
        sent = False
        try:
            connection.connect()
            self._hold(connection.sock)
            sent = True
            connection.request("POST", self._path, json.dumps(message), self._request_headers())
            return self._read_answer(connection.getresponse(), wanted)
        except (OSError, http.client.HTTPException) as exc:
            if self._stop.is_set():
                raise Interrupted("interrupted") from exc
            raise McpLost(
                f"the MCP server at {self._host}:{self._port} is out of reach: {exc}", sent=sent
            ) from exc
        finally:
            with self._lock:
                self._live = None
            connection.close()

    def _hold(self, sock: socket.socket) -> None:
        with self._lock:
            self._live = sock
        if self._stop.is_set():
            raise Interrupted("interrupted")

    def _request_headers(self) -> dict[str, str]:
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "User-Agent": USER_AGENT,
        }
        if self._version:
            headers["MCP-Protocol-Version"] = self._version
        if self._session:
            headers["Mcp-Session-Id"] = self._session
        return headers

    def _read_answer(self, response: http.client.HTTPResponse, wanted: int | None) -> dict[str, Any]:
        if response.status == http.HTTPStatus.NOT_FOUND and self._session:
            # The specification's word for a forgotten session: begin a new one.
            self._session = self._version = ""
            raise McpLost("the MCP server has forgotten our session", sent=False)
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise _refused(response)
        self._session = response.headers.get("Mcp-Session-Id", "") or self._session
        if wanted is None:
            response.read(ANSWER_BYTES)
            return {}
        if response.headers.get_content_type() == "text/event-stream":
            return _from_event_stream(response, wanted)
        answer = _parse(response.read(ANSWER_BYTES))
        if answer.get("id") != wanted and "error" not in answer:
            raise McpError(NOT_JSON_RPC)
        return answer


def _refused(response: http.client.HTTPResponse) -> McpError:
    if response.status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
        return McpError(f"the MCP server refused our token (HTTP {response.status})")
    if response.status in {http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.SERVICE_UNAVAILABLE}:
        return McpLost(f"the MCP server is not ready (HTTP {response.status})", sent=False)
    text = response.read(300).decode(errors="replace").strip()
    return McpError(f"the MCP server answered HTTP {response.status}: {text}")


def _from_event_stream(response: http.client.HTTPResponse, wanted: int) -> dict[str, Any]:
    """The message with the id we wait for; notifications in between are passed over."""
    lines: list[bytes] = []
    while raw := response.readline(ANSWER_BYTES):
        line = raw.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
        elif not line and lines:
            message = _parse(b"\n".join(lines)) if any(lines) else {}
            lines.clear()
            if message.get("id") == wanted and "method" not in message:
                return message
    raise http.client.IncompleteRead(b"")


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError as exc:
        raise McpError(NOT_JSON_RPC) from exc
    if not isinstance(found, dict):
        raise McpError(NOT_JSON_RPC)
    return found


def _as_object(structured: object, text: str) -> dict[str, Any]:
    if isinstance(structured, dict):
        # Servers wrap what is not an object; unwrap only that one shape.
        inner = structured.get("result") if set(structured) == {"result"} else None
        return inner if isinstance(inner, dict) else structured
    try:
        found = json.loads(text)
    except ValueError:
        return {"text": text}
    return found if isinstance(found, dict) else {"text": text}


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
