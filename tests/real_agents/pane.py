"""One program in a pane of a private tmux server, for tests without the product's own tmux code."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from agentorchestr.clock import until


class Pane:
    """Starts *words* at once; the server ends with the test's ``tmux_socket`` fixture."""

    def __init__(self, socket: Path, words: Sequence[str], cwd: Path, env: dict[str, str]) -> None:
        self._tmux = ("tmux", "-S", str(socket), "-f", "/dev/null")
        start = ("new-session", "-d", "-x", "120", "-y", "40", "-c", str(cwd), *words)
        subprocess.run([*self._tmux, *start], env=env, check=True, timeout=10)

    def screen(self) -> str:
        return self._ask("capture-pane", "-p")

    def coloured_lines(self) -> list[str]:
        return self._ask("capture-pane", "-p", "-e").splitlines()

    def pid(self) -> int:
        return int(self._ask("display-message", "-p", "#{pane_pid}"))

    def type_line(self, text: str) -> None:
        self._ask("send-keys", "-l", text)
        # Both agents take an Enter that comes at once for part of a paste.
        assert until(lambda: text[-20:] in self.screen().replace("\n", ""), within_s=5), self.screen()
        self._ask("send-keys", "Enter")

    def _ask(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], check=True, capture_output=True, timeout=5)
        return done.stdout.decode()
