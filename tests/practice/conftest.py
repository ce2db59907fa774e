"""Fixtures: scripted MCP endpoints, the files of an agent, agents in terminals. All end with the test."""

import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.practice.harness import ROOT, Endpoint, Setup, Tui, handler


@pytest.fixture
def serve() -> Iterator[Callable[..., Endpoint]]:
    """Start scripted endpoints; all are stopped at the end."""
    running: list[ThreadingHTTPServer] = []

    def start(tools: list[str], **options: Any) -> Endpoint:
        endpoint = Endpoint(tools, **options)
        server = ThreadingHTTPServer(("127.0.0.1", endpoint.port), handler(endpoint))
        server.daemon_threads = True
        server.block_on_close = False
        endpoint.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.append(server)
        return endpoint

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def setup(tmp_path: Path, repo: Path, private_home: dict[str, str]) -> Setup:
    folder = tmp_path / "agent dir"
    folder.mkdir()
    env = {**private_home, "PYTHONPATH": str(ROOT), "AGENTORCHESTR_PRACTICE_PACE": "0"}
    return Setup(folder, repo, env, folder / "hooks.jsonl")


@pytest.fixture
def tui(setup: Setup) -> Iterator[Callable[..., Tui]]:
    opened: list[Tui] = []

    def start(*extra: str, endpoint: Endpoint | None = None, columns: int = 100, lines: int = 30) -> Tui:
        # Python warns of a fork beside other threads; the child only execs.
        terminal = Tui(
            setup.argv(*extra, endpoint=endpoint), cwd=setup.cwd, env=setup.env, columns=columns, lines=lines
        )
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()
