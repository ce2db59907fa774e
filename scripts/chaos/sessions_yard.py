"""A home with a repository in it, where sessions are started, ended in their own ways, and looked after."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agentorchestr.clock import until
from agentorchestr.model.view import SessionView
from agentorchestr.mqtt.broker import broker_folder, read_record, stop_broker
from agentorchestr.paths import Paths
from agentorchestr.process import end_marked, lives, marked, start_time
from agentorchestr.process_table import scope_path, signal_process
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.reading import list_sessions
from scripts.chaos.left_running import LEAVES

TOP = Path(__file__).parents[2]
SESSION_LIMIT_S = 240.0
SETTLE_S = 20.0
FEW_FILES = 3
"""A program that stays may have so many more files open at the end than after the first sessions."""
ANCHOR = "the session that stays"


@dataclass
class Counts:
    """What was found, by what it is; every one of them has to be 0."""

    sessions: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    orphans: int = 0
    foreign_signals: int = 0
    worktrees: int = 0
    branches: int = 0
    sockets: int = 0
    run_folders: int = 0
    scopes: int = 0
    open_files: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each long-lived program: after the first sessions, and at the end."""

    @property
    def leaked(self) -> int:
        found = (self.orphans, self.foreign_signals, self.worktrees, self.branches)
        return sum(found) + self.sockets + self.run_folders + self.scopes

    @property
    def holds(self) -> bool:
        steady = all(after <= before + FEW_FILES for before, after in self.open_files.values())
        return not (self.leaked or self.faults) and steady


def scenario(ending: str, folder: Path) -> str:
    """Two workers that each make a file; what else they do depends on how the session ends."""
    leaves = json.dumps([sys.executable, str(folder / "leaves.py"), str(folder)])
    more = f'{{ do = "shell", argv = {leaves} }},\n  ' if "servers" in ending else ""
    if ending == "stays":
        # A worker that is seen to live: one that hangs for long is told, and given up.
        more = '{ do = "call", tool = "report_progress", args = { message = "here" } },\n  '
        more = (more + '{ do = "sleep", seconds = 20 },\n  ') * 1000
    elif ending.startswith("stop"):
        more += '{ do = "hang" },\n  '
    elif ending == "kill worker":
        more += '{ do = "die", kill = true },\n  '
    elif ending == "kill supervisor":
        more += '{ do = "sleep", seconds = 2 },\n  '
    workers = "".join(
        f'\n[[worker]]\nmatch = "make file {n}"\nturns = [{{ steps = [\n'
        f'  {{ do = "write", file = "made/{n}.txt", text = "{n}" }},\n'
        f"  {more if n == 0 else ''}"
        f'{{ do = "commit", message = "file {n}" }},\n'
        f'  {{ do = "call", tool = "report_done", args = {{ summary = "made {n}" }} }},\n] }}]\n'
        for n in range(2)
    )
    return (
        f'[[lead]]\nmatch = "."\ntasks = [{{ task = "make file 0" }}, {{ task = "make file 1" }}]\n{workers}'
    )


@dataclass
class Yard:
    """A home, a repository and the commands that are typed there."""

    home: Path
    env: dict[str, str]
    repo: Path
    counts: Counts = field(default_factory=Counts)
    lock: threading.Lock = field(default_factory=threading.Lock)
    anchor: str = "-"
    """The session that stays all the time: nothing of it may be touched."""

    @property
    def paths(self) -> Paths:
        return Paths.from_env(self.env)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "agentorchestr", *words]

    @contextmanager
    def anchored(self) -> Iterator[None]:
        """Keep one session beside all others, so that tmux, broker and a supervisor stay the same."""
        folder = self.home / "anchor"
        folder.mkdir()
        process = self._start(ANCHOR, folder, "stays")
        view = self._wait_for(ANCHOR, lambda view: len(view.team) == 2 and view.team[1].prompt_taken)
        workers = tuple(view.workers.values()) if view is not None else ()
        self.anchor = view.session_id if view is not None else "-"
        try:
            yield
        finally:
            now = self._view(ANCHOR)
            living = all(lives(worker.pid, worker.pid_started) for worker in workers)
            if now is None or now.outcome is not None or not living:
                self._fault("the session that stays was touched")
            self._stop(self.anchor)
            process.communicate(timeout=60)

    def _start(self, goal: str, folder: Path, ending: str) -> "subprocess.Popen[str]":
        (folder / "leaves.py").write_text(LEAVES)
        (folder / "scenario.toml").write_text(scenario(ending, folder))
        options = ("--no-attach", "--trust", "--agents", "practice", "--checks", "test -f README.md")
        return subprocess.Popen(
            self.command("--goal", goal, *options),
            cwd=self.repo,
            env={**self.env, "AGENTORCHESTR_PRACTICE_SCENARIO": str(folder / "scenario.toml")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _stop(self, session_id: str) -> None:
        words = self.command("stop", session_id)
        subprocess.run(words, cwd=self.repo, env=self.env, capture_output=True, timeout=120, check=False)

    def _wait_for(self, goal: str, holds: Callable[[SessionView], bool]) -> SessionView | None:
        def seen() -> bool:
            view = self._view(goal)
            return view is not None and (view.outcome is not None or holds(view))

        if not until(seen, within_s=SESSION_LIMIT_S / 2, every_s=0.2):
            self._fault(f"{goal}: its moment never came")
        return self._view(goal)

    def run_one(self, number: int, ending: str) -> None:
        """One session to its end, and a look at what it left."""
        folder = self.home / f"s{number}"
        folder.mkdir()
        goal = f"session {number} that ends by {ending}"
        process = self._start(goal, folder, ending)
        self._end(goal, ending, folder)
        try:
            said, _ = process.communicate(timeout=SESSION_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            self._fault(f"{goal}: it did not end: {said[-300:]}")
        self._judge(goal, ending, process.returncode, said)
        self._count_left(goal, folder)
        shutil.rmtree(folder)

    def _end(self, goal: str, ending: str, folder: Path) -> None:
        """Do to the session what its ending says, at the moment for it."""
        if ending in {"done", "servers", "kill worker"}:
            return
        files = [folder / "with-mark", folder / "without-mark"]

        def is_the_moment(view: SessionView) -> bool:
            if ending == "stop servers":
                return all(file.exists() for file in files)
            return len(view.team) == 2 and all(worker.prompt_taken for worker in view.team)

        view = self._wait_for(goal, is_the_moment)
        if view is not None and ending == "kill supervisor":
            # One that is at its end already needs no killing.
            signal_process(view.supervisor_pid, view.supervisor_started, signal.SIGKILL)
        elif view is not None:
            self._stop(view.session_id)

    def _view(self, goal: str) -> SessionView | None:
        return next((view for view in list_sessions(self.paths) if view.created.goal == goal), None)

    def _judge(self, goal: str, ending: str, code: int, said: str) -> None:
        # A worker that was killed is started again, or given up by a lead that had had enough.
        wanted = {4} if ending.startswith("stop") else {0, 2} if ending == "kill worker" else {0}
        if code not in wanted:
            self._fault(f"{goal}: exit code {code}: {said[-300:]}")

    def _fault(self, text: str) -> None:
        with self.lock:
            self.counts.faults.append(text)

    def _count_left(self, goal: str, folder: Path) -> None:
        view = self._view(goal)
        if view is None:
            self._fault(f"{goal}: there is no session")
            return
        until(lambda: not marked(view.session_id), within_s=SETTLE_S, every_s=0.2)
        left = set(marked(view.session_id))
        for file in (folder / "with-mark", folder / "without-mark"):
            if file.exists() and start_time(int(file.read_text())) is not None:
                left.add(int(file.read_text()))
        scope = scope_path(f"agentorchestr-{view.session_id}")
        with self.lock:
            self.counts.sessions += 1
            self.counts.orphans += len(left)
            self.counts.scopes += scope is not None and scope.exists()
            if left:
                self.counts.faults.append(f"{goal}: processes left: {sorted(left)}")

    def clean(self) -> None:
        """Clean up as a person would, and count what stays without a reason."""
        words = self.command("clean", "--older-than", "0d", "--json")
        done = subprocess.run(
            words, cwd=self.repo, env=self.env, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            self._fault(f"clean failed: {done.stderr[-300:]}")
            return
        kept = json.loads(done.stdout)["data"]["kept"]
        told = {piece["name"] for piece in kept if piece["kind"] == "branch"}
        for piece in kept:
            if piece["kind"] not in {"branch", "session files"} and piece["session"] != self.anchor:
                self._fault(f"clean kept {piece['kind']} {piece['name']}: {piece['why_kept']}")
        listed = self._git("branch", "--format=%(refname:short)", "--list", "agentorchestr/*").split()
        counts = self.counts
        counts.branches += sum(self.anchor not in name for name in set(listed) - told)
        trees = [line for line in self._git("worktree", "list").splitlines() if self.anchor not in line]
        counts.worktrees += len(trees) - 1
        left = [place for place in (self.paths.state / "worktrees").glob("*/*") if place.name != self.anchor]
        counts.worktrees += len(left)
        folders = [place for place in self.paths.run.iterdir() if place.is_dir()]
        counts.run_folders += sum(place.name != self.anchor for place in folders)
        sockets = {place.name for place in self.paths.run.iterdir() if place.is_socket()}
        counts.sockets += len(sockets - {"tmux.sock", "mqtt.sock"})

    def _git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.repo, env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def open_files(self) -> dict[str, int]:
        """How many files each program has open that outlives the sessions."""
        (server,) = TmuxServer(self.paths.tmux_socket).run("display-message", "-p", "#{pid}")
        pids = {"tmux": int(server)}
        view = self._view(ANCHOR)
        if view is not None:
            pids["a supervisor"] = view.supervisor_pid
        record = read_record(broker_folder(self.paths))
        if record is not None:
            pids["mosquitto"] = record.pid
        try:
            return {name: psutil.Process(pid).num_fds() for name, pid in pids.items()}
        except psutil.NoSuchProcess as exc:
            self._fault(f"one that has to stay is gone: {pids}: {exc}")
            return {}


@contextmanager
def yard() -> Iterator[Yard]:
    """A home of its own, on a short path; everything in it is ended and removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="aos-", dir="/tmp"))
    env = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONPATH": str(TOP),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AGENTORCHESTR_PRACTICE_PACE": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "a@example.invalid"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    repo = home / "repo"
    repo.mkdir()
    (repo / "README.md").write_text("a sample\n")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=repo, env=env, check=True, capture_output=True)
    made = Yard(home, env, repo)
    try:
        yield made
    finally:
        stop_broker(made.paths)
        for view in list_sessions(made.paths):
            TmuxServer(made.paths.tmux_socket).end_session(f"ao-{view.session_id}")
            end_marked(view.session_id)
        shutil.rmtree(home, ignore_errors=True)
