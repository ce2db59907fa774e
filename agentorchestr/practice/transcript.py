"""The agent's own record: what was said, and how far the scenario got, so that it can be resumed."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

NO_TOKENS = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
}


@dataclass
class Progress:
    """How far the scenario got; rebuilt from the transcript by ``--resume``."""

    turn: int = 0
    step: int = 0
    begun: bool = False
    """The current step was begun and not ended: it was cut short."""
    names: dict[str, str] = field(default_factory=dict)
    """What was remembered under a name: worker ids of tasks, which of them are merged."""

    def apply(self, line: dict[str, object]) -> None:
        """Take one line of the transcript into account."""
        match line:
            case {"type": "practice-step", "state": "begun"}:
                self.begun = True
            case {"type": "practice-step", "state": "ended"}:
                self.step, self.begun = self.step + 1, False
            case {"type": "practice-turn"}:
                self.turn, self.step, self.begun = self.turn + 1, 0, False
            case {"type": "practice-name", "name": str(name), "value": str(value)}:
                self.names[name] = value


class Transcript:
    """JSON lines, appended; readable while the agent runs. Private to its user."""

    def __init__(self, path: Path, *, session_id: str, cwd: Path) -> None:
        self.path = path
        self.progress = Progress()
        self._common = {"sessionId": session_id, "cwd": str(cwd)}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for line in _read_lines(path):
            self.progress.apply(line)
        self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def user(self, text: str) -> None:
        """Record a prompt that was taken."""
        self._append({"type": "user", "message": {"role": "user", "content": text}})

    def assistant(self, text: str) -> None:
        """Record what the agent said, with the usage of a model that was never asked."""
        content = [{"type": "text", "text": text}]
        message = {"role": "assistant", "content": content, "usage": NO_TOKENS}
        self._append({"type": "assistant", "message": message})

    def step(self, state: str, *, do: str) -> None:
        """Record that the current step was ``begun`` or ``ended``."""
        self._advance({"type": "practice-step", "state": state, "do": do})

    def turn_ended(self) -> None:
        """Record that all steps of the current turn are behind us."""
        self._advance({"type": "practice-turn"})

    def remember(self, name: str, value: str) -> None:
        """Keep *value* under *name* beyond a crash."""
        self._advance({"type": "practice-name", "name": name, "value": value})

    def _advance(self, line: dict[str, object]) -> None:
        self._append(line)
        self.progress.apply(line)

    def _append(self, line: dict[str, object]) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        whole = {**line, **self._common, "timestamp": stamp}
        os.write(self._fd, json.dumps(whole).encode() + b"\n")


def _read_lines(path: Path) -> list[dict[str, object]]:
    """The whole lines of *path*; a line cut short by a crash is passed over."""
    if not path.exists():
        return []
    found = []
    for raw in path.read_bytes().splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        if isinstance(line, dict):
            found.append(line)
    return found
