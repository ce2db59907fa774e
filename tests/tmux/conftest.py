"""A real tmux server per test, and a small program that logs the bytes its pane receives."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.tmux.server import TmuxServer

# Raw mode: what tmux sends arrives as it is. The file is the log; "ready" on the screen means raw mode.
BYTE_LOGGER = """
import os, sys, termios, tty
out = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
tty.setraw(0)
if len(sys.argv) > 2:
    os.write(1, b"\\x1b[?2004h")
os.write(1, b"ready\\r\\n")
while True:
    data = os.read(0, 65536)
    if not data:
        break
    os.write(out, data)
"""

SLEEPER = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)")


@pytest.fixture
def server(tmux_socket: Path, private_home: dict[str, str]) -> TmuxServer:
    return TmuxServer(tmux_socket, env=private_home)


@pytest.fixture
def session(server: TmuxServer, tmp_path: Path) -> str:
    server.new_session("s1", window="supervisor", argv=SLEEPER, cwd=tmp_path)
    return "s1"


@pytest.fixture
def byte_logger(
    server: TmuxServer, session: str, tmp_path: Path
) -> Callable[..., tuple[str, Callable[[], bytes]]]:
    """Open a pane that logs its input; returns its id and a function that reads the log."""
    from agentorchestr.tmux import panes

    def open_logger(*, bracketed: bool = False) -> tuple[str, Callable[[], bytes]]:
        log = tmp_path / "bytes.log"
        more = ("bracketed",) if bracketed else ()
        argv = (sys.executable, "-I", "-S", "-c", BYTE_LOGGER, str(log), *more)
        pane_id = panes.open_pane(
            server, session, window="team", title="logger", argv=argv, cwd=tmp_path, lead=False
        )
        assert until(lambda: panes.capture(server, pane_id) == ("ready",), within_s=10)
        return pane_id, log.read_bytes

    return open_logger
