"""What every step of a turn works with: the screen, the tools, the worktree, the record."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentorchestr.errors import OrchestrError
from agentorchestr.practice.console import Console, pause
from agentorchestr.practice.hooks import Hooks
from agentorchestr.practice.mcp_client import Interrupted, McpClient, McpError
from agentorchestr.practice.options import SERVER
from agentorchestr.practice.transcript import Transcript
from agentorchestr.practice.view import Mark

IDENTITY = (
    "-c",
    "user.name=practice agent",
    "-c",
    "user.email=practice@localhost",
    "-c",
    "commit.gpgsign=false",
)
PROGRAM_LIMIT_S = 120.0
SHOWN_CHARS = 120


class StepFailed(OrchestrError):
    """A step could not be done as the scenario says."""


class TurnFailed(OrchestrError):
    """The scenario lets this turn fail, as a model's service would."""


class TurnEnds(Exception):
    """The turn ends here. ``stay``: the step goes on next time; ``drop``: the other steps are let go."""

    def __init__(self, *, stay: bool = False, drop: bool = False) -> None:
        super().__init__()
        self.stay = stay
        self.drop = drop


@dataclass
class Work:
    """The means of one agent; lives as long as it does."""

    console: Console
    hooks: Hooks
    transcript: Transcript
    cwd: Path
    client: McpClient | None = None
    pace: float = 1.0
    tools: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    """Words in braces in a scenario's texts, and what stands for them."""
    heard: list[dict[str, str]] = field(default_factory=list)
    """The messages that came with this turn: ``message_id``, ``sender``, and the first line of ``body``."""
    last_words: str = ""
    errors: int = 0

    def say(self, text: str) -> None:
        """Speak as the agent."""
        self.last_words = text
        self.console.show(Mark.SAYS, text)
        self.transcript.assistant(text)

    def note(self, text: str) -> None:
        """Show what is going on, in the log area only."""
        self.console.show(Mark.TOOL, text)

    def error(self, text: str) -> None:
        """Show that something went wrong; a one-shot turn then ends with 1."""
        self.errors += 1
        self.console.show(Mark.ERROR, text)

    def think(self, seconds: float) -> None:
        """Pause so that people can watch; no pause at all in tests. Raises ``Interrupted``."""
        pause(self.console, seconds * self.pace)

    def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Call an MCP tool. Raises ``McpError`` after showing it, ``Interrupted``."""
        words = ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())
        self.note(f"{tool}({words})")
        if self.client is None:
            self.error(f"{tool}: no MCP server was given")
            raise McpError("no MCP server was given")
        with self.acting(f"mcp__{SERVER}__{tool}"):
            try:
                return self.client.call(tool, arguments)
            except McpError as exc:
                self.error(f"{tool}: {exc}")
                raise

    @contextlib.contextmanager
    def acting(self, tool_name: str) -> Iterator[None]:
        """Tell the hooks that a tool is being used."""
        self.hooks.fire("PreToolUse", tool_name=tool_name)
        try:
            yield
        finally:
            self.hooks.fire("PostToolUse", tool_name=tool_name)

    def fill(self, value: Any) -> Any:
        """*value* with every known word in braces replaced, in strings at any depth."""
        if isinstance(value, str):
            for name, meaning in self.names.items():
                value = value.replace(f"{{{name}}}", meaning)
            return value
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        return value

    def git(self, *words: str) -> tuple[int, str]:
        """Run git in the worktree; exit code and output."""
        return self.run(["git", *IDENTITY, *words])

    def run(self, argv: Sequence[str], *, limit_s: float = PROGRAM_LIMIT_S) -> tuple[int, str]:
        """Run a program in the worktree: exit code and output together.

        Raises ``StepFailed`` when it is not there or takes longer, ``Interrupted``; it is ended then.
        """
        try:
            child = subprocess.Popen(
                argv,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as exc:
            raise StepFailed(f"cannot run {argv[0]}: {exc.strerror}") from exc
        with child:
            return _finish(child, self.console.stop, limit_s)


def _finish(child: subprocess.Popen[bytes], stop: threading.Event, limit_s: float) -> tuple[int, str]:
    waited_s = 0.0
    while True:
        try:
            out, _ = child.communicate(timeout=0.1)
            return child.returncode, out.decode(errors="replace").strip()
        except subprocess.TimeoutExpired as exc:
            waited_s += 0.1
            if stop.is_set() or waited_s > limit_s:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                if stop.is_set():
                    raise Interrupted("interrupted") from exc
                raise StepFailed(f"a program did not end within {limit_s:g} s") from exc


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"
