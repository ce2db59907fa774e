"""Tell the outside what the agent does: one command per event, in order, never waited for by a turn."""

import contextlib
import json
import queue
import subprocess
import threading
from pathlib import Path

HOOK_LIMIT_S = 10.0


class Hooks:
    """Runs the hook command with one JSON payload on its standard input per event.

    The payloads have the field names of Claude Code's hooks. A hook that fails changes nothing.
    """

    def __init__(self, argv: tuple[str, ...], *, session_id: str, cwd: Path, transcript: Path) -> None:
        self._argv = argv
        self._common = {"session_id": session_id, "cwd": str(cwd), "transcript_path": str(transcript)}
        self._waiting: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def fire(self, event: str, **fields: object) -> None:
        """Queue *event*; it runs after those before it."""
        if not self._argv:
            return
        payload = {"hook_event_name": event, **self._common, **fields}
        self._waiting.put(json.dumps(payload).encode())
        if self._thread is None:
            self._thread = threading.Thread(target=self._run_all, name="hooks", daemon=True)
            self._thread.start()

    def flush(self, *, within_s: float) -> bool:
        """Whether all events queued so far have been told within *within_s* seconds."""
        if self._thread is None:
            return True
        told = threading.Event()
        self._waiting.put(told)
        return told.wait(within_s)

    def _run_all(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._run(item)

    def _run(self, payload: bytes) -> None:
        # A session of its own: the hang-up that closes our pane must not end the last hook.
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                self._argv,
                input=payload,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=HOOK_LIMIT_S,
                start_new_session=True,
                check=False,
            )
