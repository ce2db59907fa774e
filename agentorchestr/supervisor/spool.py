"""The spool: hooks leave files there, which survive a dead supervisor, and ring a bell socket."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.journal.encoding import storable
from agentorchestr.paths import ensure_private

logger = logging.getLogger(__name__)

BELL = "bell"
MAX_FILE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Dropped:
    """One file of the spool. ``payload`` is an agent's own hook text, or None when a pane died."""

    path: Path
    worker_id: str
    pane_id: str
    payload: Mapping[str, object] | None


class Spool:
    """Reads what the shims wrote, in the order in which they wrote it."""

    def __init__(self, folder: Path) -> None:
        self._folder = ensure_private(folder)
        self._rung = asyncio.Event()
        self._socket: socket.socket | None = None

    def listen(self) -> None:
        """Open the bell. Without it (a path too long for a socket) the tick reads the spool, only later."""
        path = self._folder / BELL
        path.unlink(missing_ok=True)
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bell.setblocking(False)
        try:
            bell.bind(os.fspath(path))
        except OSError as exc:
            bell.close()
            logger.warning("spool has no bell", extra={"detail": str(exc)})
            return
        self._socket = bell
        asyncio.get_running_loop().add_reader(bell, self._on_bell)

    def _on_bell(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._socket is not None and self._socket.recv(64) is not None:
                self._rung.set()

    async def rung(self, *, timeout_s: float) -> None:
        """Wait until the bell rings, at most *timeout_s*."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        self._rung.clear()

    def close(self) -> None:
        """Let go of the bell."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def read(self) -> list[Dropped]:
        """All files that wait, oldest first. What cannot be read is set aside, and logged."""
        found = []
        for path in sorted(self._folder.glob("[0-9]*.json")):
            dropped = _parse(path)
            if dropped is None:
                set_aside(path)
            else:
                found.append(dropped)
        return found


def set_aside(path: Path) -> None:
    """Keep a file that cannot be used, under a name that is not read again, so that the rest goes on."""
    logger.warning("spool file not understood", extra={"detail": path.name})
    with contextlib.suppress(FileNotFoundError):
        path.rename(path.with_suffix(".bad"))


def _parse(path: Path) -> Dropped | None:
    try:
        status = path.stat()
        if status.st_size > MAX_FILE_BYTES or not stat.S_ISREG(status.st_mode):
            return None
        content = _load(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    payload = content.get("payload")
    worker_id, pane_id = content.get("worker_id", ""), content.get("pane_id", "")
    if not isinstance(worker_id, str) or not isinstance(pane_id, str):
        return None
    if content.get("died") is True and pane_id:
        return Dropped(path, "", pane_id, None)
    return Dropped(path, worker_id, "", payload) if isinstance(payload, dict) and worker_id else None


def _load(raw: bytes) -> object:
    """The JSON in *raw*. Programs that cut text in the middle of an emoji leave half a character behind."""
    content = json.loads(raw)
    text = json.dumps(content, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(storable(text))
    return content
