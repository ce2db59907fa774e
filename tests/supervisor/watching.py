"""A watcher on real panes, a real journal and a clock of the test's own."""

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.clock import Clock, until
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.states import AgentEventKind
from agentorchestr.model.view import WorkerView
from agentorchestr.process import lives, start_time
from agentorchestr.supervisor.book import Book
from agentorchestr.supervisor.gear import Gear
from agentorchestr.supervisor.spool import Spool
from agentorchestr.supervisor.watcher import Watcher
from agentorchestr.tmux import panes
from agentorchestr.tmux.server import TmuxServer
from tests.supervisor.conftest import created

# Shows a text, then obeys one word per line of its file: "work" burns the CPU, "show TEXT" replaces
# the screen, "leave" closes the terminal a moment before it ends.
PROGRAM = """
import os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
def show(text):
    os.write(1, b"\\x1b[2J\\x1b[3J\\x1b[H" + text.encode().replace(b"\\\\n", b"\\r\\n"))
show(sys.argv[1])
while True:
    word = open(sys.argv[2]).read()
    if word.startswith("show "):
        show(word[5:])
        open(sys.argv[2], "w").close()
    if word == "leave":
        for fd in (0, 1, 2):
            os.close(fd)
        time.sleep(0.1)
        os._exit(3)
    end = time.monotonic() + 0.05
    while word == "work" and time.monotonic() < end:
        pass
    time.sleep(0 if word == "work" else 0.02)
"""
READY = "› "  # noqa: RUF001 - Codex's own prompt sign
BUSY = "• Working (3s • esc to interrupt)"


def hook(**payload: str) -> bytes:
    """What a hook of w1 leaves in the spool."""
    return json.dumps({"worker_id": "w1", "payload": payload}).encode()


class HandClock(Clock):
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.late_s = 0.0

    def now(self) -> float:
        return super().now() + self.late_s

    def monotonic(self) -> float:
        return super().monotonic() + self.late_s


@dataclass
class Stage:
    """A session with panes, and the watcher that looks at them."""

    folder: Path
    server: TmuxServer
    book: Book
    clock: HandClock = field(default_factory=HandClock)
    specs: dict[str, AgentSpec] = field(default_factory=lambda: dict(load_catalogue()))

    def __post_init__(self) -> None:
        idle = (sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)")
        self.server.new_session("ao-s1", window="supervisor", argv=idle, cwd=self.folder)
        # Only what the watcher uses: the rest of a session is not there.
        gear = Gear(
            book=self.book,
            clock=self.clock,
            catalogue=self.specs,
            tmux=self.server,
            environment={"HOME": str(self.folder)},
            **cast("dict[str, Any]", dict.fromkeys(ABSENT)),
        )
        self.spool = self.folder / "spool"
        self.watcher = Watcher(gear, Spool(self.spool))

    async def start(self, worker_id: str, shown: str, *, agent: str = "codex", ready: bool = True) -> str:
        """Open a pane in which a program shows *shown*, and record it as a worker."""
        orders = self.folder / f"{worker_id}.orders"
        orders.touch()
        worktree = self.folder / worker_id
        (worktree / ".agentorchestr").mkdir(parents=True)
        argv = (sys.executable, "-I", "-S", "-c", PROGRAM, shown, str(orders))
        pane_id = panes.open_pane(
            self.server, "ao-s1", window="team", title=worker_id, argv=argv, cwd=self.folder, lead=False
        )
        pid = next(row.pid for row in panes.list_panes(self.server) if row.pane_id == pane_id)
        branch = f"agentorchestr/s1/{worker_id}"
        role = "lead" if worker_id == "lead" else "implementer"
        spawned = f.WorkerSpawned(worker_id, role, agent, "t", (), "", "", branch, str(worktree), "n1")
        opened = f.PaneOpened(worker_id, pane_id, pid, start_time(pid) or 0.0)
        await self.book.record(spawned, opened, *([f.AgentReady(worker_id, "t")] if ready else []))
        words = shown.partition("\\n")[0].strip()
        assert until(lambda: words in "\n".join(panes.capture(self.server, pane_id)), within_s=10)
        return pane_id

    def order(self, worker_id: str, word: str) -> None:
        """Make the worker's program do *word*."""
        (self.folder / f"{worker_id}.orders").write_text(word)

    def drop(self, number: int, content: bytes) -> Path:
        """Leave a file in the spool, as a hook does."""
        path = self.spool / f"{number}.json"
        path.write_bytes(content)
        return path

    def worker(self, worker_id: str) -> WorkerView:
        return self.book.view.workers[worker_id]

    async def begin_turn(self, worker_id: str) -> None:
        await self.book.record(f.AgentSeen(worker_id, AgentEventKind.PROMPT_TAKEN, "hook"))

    async def look(self, worker_id: str, *, after_s: float = 0.0) -> WorkerView:
        """One look at the worker, *after_s* seconds after the last."""
        self.clock.late_s += after_s
        await self.watcher.look_at_worker(worker_id)
        return self.worker(worker_id)

    def close(self) -> None:
        """End the programs; the tmux server is ended with its socket."""
        for worker in self.book.view.workers.values():
            if lives(worker.pid, worker.pid_started):
                os.kill(worker.pid, signal.SIGKILL)
        self.book._journal.close()


ABSENT = ("paths", "repository", "binaries", "roles", "tokens", "setup", "project_text", "port")


def new_book(folder: Path) -> Book:
    """A book with the session's first fact in it."""
    with Journal.create(folder) as journal:
        journal.append([created()])
    return Book(Journal.take_over(folder))
