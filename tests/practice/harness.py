"""A scripted MCP endpoint on loopback, and the practice agent in a pseudo-terminal."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from agentorchestr.clock import until

ROOT = Path(__file__).resolve().parents[2]
LEAD_TOOLS = [
    "spawn_worker",
    "wait_for_any",
    "merge_worker",
    "verify",
    "mark_goal_done",
    "mark_goal_failed",
    "list_workers",
    "send_to_worker",
]
WORKER_TOOLS = ["get_brief", "report_done", "report_blocked", "report_failed"]
TOKEN = "secret-token"


@dataclass
class Endpoint:
    """What a scripted MCP server heard, and what it answers: a value or a function of the arguments."""

    tools: list[str]
    answers: dict[str, Any] = field(default_factory=dict)
    sse: bool = False
    session_header: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refuse_first: list[int] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def called(self, tool: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == tool]

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        params = message.get("params", {})
        match message["method"]:
            case "initialize":
                return {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "serverInfo": {"name": "x", "version": "1"},
                }
            case "tools/list":
                return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in self.tools]}
            case "tools/call":
                return self._call(params["name"], params["arguments"])
        return {}

    def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((tool, arguments))
        found = self.answers.get(tool, {"recorded": True})
        found = found(arguments) if callable(found) else found
        if isinstance(found, Exception):
            return {"isError": True, "content": [{"type": "text", "text": str(found)}]}
        return {"content": [{"type": "text", "text": json.dumps(found)}]}


def handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.methods.append(message["method"])
            endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._send(401, b"", "text/plain")
            if endpoint.refuse_first:
                return self._send(endpoint.refuse_first.pop(0), b"", "text/plain")
            if "id" not in message:
                return self._send(202, b"", "text/plain")
            body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": endpoint.answer(message)})
            if endpoint.sse:
                noise = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {}})
                text = f": hello\n\nevent: message\ndata: {noise}\n\nevent: message\nid: 1\ndata: {body}\n\n"
                return self._send(200, text.encode(), "text/event-stream")
            return self._send(200, body.encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if endpoint.session_header:
                self.send_header("Mcp-Session-Id", endpoint.session_header)
            self.end_headers()
            # The client may have given up on a call: that is tested.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler


@dataclass
class Setup:
    """The files and the environment of one practice agent."""

    folder: Path
    cwd: Path
    env: dict[str, str]
    hooks: Path

    def argv(self, *extra: str, endpoint: Endpoint | None = None) -> list[str]:
        words = [sys.executable, "-P", "-m", "agentorchestr.practice", "--name", "w1"]
        if endpoint is not None:
            config = self.folder / "mcp.json"
            headers = {"Authorization": f"Bearer {TOKEN}"}
            server = {"type": "http", "url": endpoint.url, "headers": headers}
            config.write_text(json.dumps({"mcpServers": {"agentorchestr": server}}))
            words += ["--mcp-config", str(config)]
        hook_config = self.folder / "hook.json"
        record = "import sys; sys.stdout.write(sys.stdin.read() + chr(10))"
        script = f'exec "$0" -I -S -c "$1" >> "{self.hooks}"'
        hook_config.write_text(json.dumps({"command": ["sh", "-c", script, sys.executable, record]}))
        return [*words, "--hook-config", str(hook_config), *extra]

    def scenario(self, text: str) -> None:
        path = self.folder / "scenario.toml"
        path.write_text(text)
        self.env["AGENTORCHESTR_PRACTICE_SCENARIO"] = str(path)

    def events(self) -> list[dict[str, Any]]:
        if not self.hooks.exists():
            return []
        return [json.loads(line) for line in self.hooks.read_text().splitlines() if line.endswith("}")]

    def event_names(self) -> list[str]:
        return [event["hook_event_name"] for event in self.events()]

    def one_shot(
        self, prompt: str, *extra: str, endpoint: Endpoint | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.argv("-p", prompt, *extra, endpoint=endpoint),
            cwd=self.cwd, env=self.env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip


class Tui:
    """A practice agent in a pseudo-terminal of its own."""

    def __init__(self, argv: list[str], *, cwd: Path, env: dict[str, str], columns: int, lines: int) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], argv, env)  # noqa: S606 -- an argv list, no shell
        self.resize(columns, lines)
        self.output = b""
        self.code: int | None = None
        self._drain_thread = threading.Thread(target=self._drain, daemon=True)
        self._drain_thread.start()

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def shows(self, text: str, *, within_s: float = 10) -> bool:
        return until(lambda: text.encode() in self.output, within_s=within_s)

    def ended(self, *, within_s: float = 10) -> bool:
        return until(self._reaped, within_s=within_s)

    def close(self) -> None:
        if not self._reaped():
            os.kill(self.pid, signal.SIGKILL)
            self.ended()
        self._drain_thread.join(2)
        os.close(self.fd)

    def _reaped(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def _drain(self) -> None:
        while True:
            ready, _, _ = select.select([self.fd], [], [], 0.1)
            try:
                chunk = os.read(self.fd, 65536) if ready else None
            except OSError:
                return
            if chunk == b"" or (chunk is None and self.code is not None):
                return
            self.output += chunk or b""


def log_of(repo: Path) -> list[str]:
    done = subprocess.run(["git", "log", "--format=%s"], cwd=repo, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
