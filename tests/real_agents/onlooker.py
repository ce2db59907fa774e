"""Somebody who watches every pane of a session while it runs."""

import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

EVERY_S = 0.3


class Onlooker:
    """Captures all panes on *socket* again and again; ``screens`` holds each different screen once, by pane."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.screens: dict[str, list[str]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(10)

    def last(self) -> str:
        """The newest screen of every pane, for the message of a failed test."""
        return "\n".join(f"===== pane {pane}\n{seen[-1].rstrip()}" for pane, seen in self.screens.items())

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            for pane in self._tmux("list-panes", "-a", "-F", "#{pane_id}").split():
                screen = self._tmux("capture-pane", "-p", "-t", pane)
                seen = self.screens.setdefault(pane, [])
                if screen and (not seen or seen[-1] != screen):
                    seen.append(screen)

    def _tmux(self, *words: str) -> str:
        if not self.socket.exists():
            return ""
        argv = ["tmux", "-S", str(self.socket), *words]
        return subprocess.run(argv, check=False, capture_output=True, timeout=10).stdout.decode(
            errors="replace"
        )
