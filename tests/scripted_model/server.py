"""The HTTP server: one thread per request, on loopback, no dependency."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, TracebackType
from typing import Self

from tests.scripted_model import anthropic_api, chat_api, responses_api
from tests.scripted_model.conversation import Answer, Conversation, Fault, Usage
from tests.scripted_model.scenario import Scenario

APIS: Mapping[str, ModuleType] = {
    "/v1/messages": anthropic_api,
    "/v1/responses": responses_api,
    "/v1/chat/completions": chat_api,
}
LINE_CHARS = 200
MODELS = ("claude-sonnet-5", "claude-opus-5-5", "claude-haiku-5", "gpt-5.4")


@dataclass(frozen=True)
class Record:
    """One request and what was answered. No header but the user agent is kept, so no key either."""

    method: str
    path: str
    client: str
    part: str = ""
    status: int = 200
    conversation: Conversation | None = None
    answer: Answer | None = None
    at: float = field(default_factory=time.time)

    def line(self) -> str:
        """One line for a person who watches."""
        answer = self.answer
        said = ", ".join(c.tool for c in answer.calls) or answer.text[:60] if answer else ""
        last = self.conversation.last if self.conversation else None
        heard = " ".join(last.text.split())[:LINE_CHARS] if last else ""
        return f"{self.method} {self.path} {self.status} {self.part} heard [{heard}] and said [{said}]"


class ScriptedModel:
    """A scripted model on ``127.0.0.1``; use it as a context manager, or ``start`` and ``stop`` it."""

    def __init__(self, scenario: Scenario, *, port: int = 0, watch: bool = False) -> None:
        self.scenario = scenario
        self.records: list[Record] = []
        self.watch = watch
        self._faults: dict[tuple[str, Fault], int] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.model = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def url(self) -> str:
        """The base address, without ``/v1``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def of(self, part: str) -> list[Record]:
        """The requests of one part of the scenario, oldest first."""
        with self._lock:
            return [record for record in self.records if record.part == part]

    def spent(self, part: str) -> Usage:
        """The tokens all good answers to *part* were said to cost."""
        answers = [r.answer for r in self.of(part) if r.answer is not None and r.status == 200]
        return Usage(
            fresh=sum(answer.usage.fresh for answer in answers),
            cached=sum(answer.usage.cached for answer in answers),
            output=sum(answer.usage.output for answer in answers),
        )

    def record(self, record: Record) -> None:
        with self._lock:
            self.records.append(record)
        if self.watch:
            print(record.line(), flush=True)  # noqa: T201 - a person runs this in a terminal to watch

    def due_fault(self, conversation: Conversation, answer: Answer) -> Fault | None:
        """The fault of *answer*, as long as this conversation has not had it often enough."""
        fault = answer.fault
        if fault is None:
            return None
        with self._lock:
            had = self._faults.get((conversation.key, fault), 0)
            self._faults[(conversation.key, fault)] = had + 1
        return fault if fault.times == 0 or had < fault.times else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # server_close would wait for clients that keep their connection open.
    block_on_close = False
    model: ScriptedModel

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self._note(path)
        if path == "/v1/models":
            models = [
                {"id": name, "type": "model", "object": "model", "display_name": name} for name in MODELS
            ]
            self._send_json(200, {"object": "list", "data": models, "has_more": False})
        else:
            self._send_json(404, {"error": {"type": "not_found_error", "message": path}})

    def do_HEAD(self) -> None:
        self._note(self.path)
        self._send_json(200, {})

    def do_POST(self) -> None:
        path = self.path.split("?")[0]
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        if path in APIS:
            self._answer(path, body)
        elif path == "/v1/messages/count_tokens":
            self._note(path)
            self._send_json(200, {"input_tokens": len(json.dumps(body)) // 4})
        else:
            self._note(path)
            self._send_json(404, {"type": "error", "error": {"type": "not_found_error", "message": path}})

    def _answer(self, path: str, body: dict[str, object]) -> None:
        api = APIS[path]
        conversation: Conversation = api.read(body, {k.lower(): v for k, v in self.headers.items()})
        part, answer = self.server.model.scenario.answer(conversation)
        fault = self.server.model.due_fault(conversation, answer) or Fault()
        status = fault.status or 200
        client = self.headers.get("user-agent", "")
        self.server.model.record(Record(self.command, path, client, part, status, conversation, answer))
        if fault.delay_s:
            time.sleep(fault.delay_s)
        if fault.status:
            self._send_json(status, api.error(status), retry_after_s=fault.retry_after_s)
        elif body.get("stream"):
            self._send_stream(api, answer, conversation, cut=fault.cut)
        else:
            self._send_json(200, api.whole(answer, conversation))

    def _send_stream(self, api: ModuleType, answer: Answer, conversation: Conversation, *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        events = list(api.stream(answer, conversation))
        for name, content in events[: len(events) // 2] if cut else events:
            head = f"event: {name}\n" if name else ""
            self._chunk(f"{head}data: {json.dumps(content)}\n\n".encode())
        if cut:
            self.close_connection = True
            return
        if api is chat_api:
            self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _send_json(self, status: int, content: dict[str, object], *, retry_after_s: float = 0) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        if retry_after_s:
            self.send_header("retry-after", f"{retry_after_s:g}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _note(self, path: str) -> None:
        self.server.model.record(Record(self.command, path, self.headers.get("user-agent", "")))

    def log_message(self, *_: object) -> None:
        """Records tell more."""
