"""The demo on a terminal, for real: tmux opens, the practice team works, the report follows."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentorchestr.clock import until
from agentorchestr.paths import Paths


@pytest.fixture
def demo_env(real_env: dict[str, str]) -> Iterator[dict[str, str]]:
    yield real_env
    socket = Paths.from_env(real_env).tmux_socket
    if socket.exists():
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], check=False, capture_output=True)


@pytest.mark.slow
def test_the_demo_attaches_on_a_terminal_and_ends_with_its_report(
    demo_env: dict[str, str], tmp_path: Path
) -> None:
    outer, inner = pty.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-m", "agentorchestr", "demo", "--keep", str(tmp_path / "sample")],
        env=demo_env,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # no thread runs here
    )
    os.close(inner)
    shown = bytearray()

    def ended() -> bool:
        while select.select([outer], [], [], 0)[0]:
            try:
                shown.extend(os.read(outer, 65536))
            except OSError:  # the other end is closed
                break
        return child.poll() is not None

    try:
        assert until(ended, within_s=120, every_s=0.05), shown[-2000:]
        ended()
        text = shown.decode(errors="replace")
        assert child.returncode == 0, text[-2000:]
        assert "\x1b[?1049h" in text, "tmux took over the screen"
        assert " done in " in text
        assert "land it   agentorchestr land" in text
    finally:
        child.kill()
        child.wait()
        os.close(outer)
