"""A real session of practice agents that listen, its tools as agents call them, and its growing journal."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.agents.screens import ScreenState, classify
from agentorchestr.clock import SYSTEM_CLOCK, until
from agentorchestr.errors import JournalError, TmuxError
from agentorchestr.journal.reducer import step
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import Recorded
from agentorchestr.model.states import LEAD
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.mqtt.broker import broker_folder, read_record, stop_broker
from agentorchestr.paths import Paths
from agentorchestr.process import end_marked, lives
from agentorchestr.supervisor.composer import plain
from agentorchestr.supervisor.places import kept_folder
from agentorchestr.supervisor.principals import TokenBook
from agentorchestr.tmux.looking import look
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.control import CONTROL_FILE

TOP = Path(__file__).parents[2]
HEARD = "heard.jsonl"
PRACTICE = load_catalogue()["practice"]
TALKERS = 2
COMES_UP_S = 60.0
ANSWERS_S = 60.0
"""A supervisor that was killed answers again within this time."""
KEEP = '{ do = "keep_heard", file = "heard.jsonl" }'
SCENARIO = f"""
[[lead]]
match = "."
turns = [[{{ do = "end_turn" }}]]
reactions = [[{KEEP}]]

[[worker]]
match = "talk"
turns = [[{{ do = "call", tool = "report_done", args = {{ summary = "talking" }} }}]]

[[worker]]
match = "listen"
turns = [[{{ do = "call", tool = "report_done", args = {{ summary = "listening" }} }}]]

[[worker.reactions]]
on = "mood:ask"
steps = [{KEEP}, {{ do = "ask", question = "May I" }}]

[[worker.reactions]]
on = "mood:busy"
steps = [{KEEP}, {{ do = "sleep", seconds = 0.6 }}]

[[worker.reactions]]
steps = [{KEEP}]
"""


class Refused(Exception):
    """A tool understood the call and said no."""


class ListeningSession:
    """Starts the session, calls its tools, reads its journal, and kills its parts."""

    def __init__(self, env: dict[str, str], folder: Path, *, workers: int) -> None:
        self.env = {
            **env,
            "PYTHONPATH": str(TOP),
            "AGENTORCHESTR_PRACTICE_PACE": "0",
            "AGENTORCHESTR_PRACTICE_SCENARIO": str(folder / "scenario.toml"),
            **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "A"),
            **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@example.invalid"),
        }
        self.paths = Paths.from_env(self.env)
        self.server = TmuxServer(self.paths.tmux_socket, env=self.env)
        self.session_id = ""
        self.talkers: list[str] = []
        self.facts: list[Recorded] = []
        self._folder = folder
        self._workers = workers
        self._view: SessionView | None = None
        self._client = httpx.Client(trust_env=False, timeout=30.0)
        self._reading = threading.Lock()
        self._url = ""

    @contextmanager
    def running(self) -> Iterator["ListeningSession"]:
        """The session, up and listening; nothing of it is left afterwards."""
        project = self._folder / "project"
        (self._folder / "scenario.toml").write_text(SCENARIO)
        self._make_repository(project)
        argv = ["--goal", "storm", "--no-attach", "--trust", "--agents", "practice", "--checks", "true"]
        argv += ["--max-workers", str(min(2 * self._workers, 32))]
        with (self._folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "agentorchestr", *argv],
                cwd=project,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            self._come_up()
            yield self
        finally:
            self._end(process)

    def _make_repository(self, project: Path) -> None:
        project.mkdir()
        (project / "README.md").write_text("x\n")
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "first")):
            subprocess.run(["git", *words], cwd=project, env=self.env, check=True, timeout=60)

    def _come_up(self) -> None:
        assert until(lambda: any(self.paths.sessions.glob("*/journal.sqlite")), within_s=COMES_UP_S)
        self.session_id = next(self.paths.sessions.glob("*/journal.sqlite")).parent.name
        assert until(self._lead_is_ready, within_s=COMES_UP_S, every_s=0.1)
        # Their names are used by those who send: what they do says nothing of how messages arrive.
        self.talkers = [
            str(self.call(LEAD, "spawn_worker", task="talk")["worker_id"]) for _ in range(TALKERS)
        ]
        for _ in range(self._workers):
            self.spawn()
        assert until(lambda: len(self.listeners()) == self._workers, within_s=COMES_UP_S, every_s=0.1)

    def _lead_is_ready(self) -> bool:
        self._read_on()
        lead = self._view.lead if self._view is not None else None
        return lead is not None and lead.prompt_taken and not lead.in_turn

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        words = [sys.executable, "-P", "-m", "agentorchestr", "stop", self.session_id]
        subprocess.run(words, env=self.env, cwd=self._folder, check=False, capture_output=True)
        process.kill()
        process.wait(10)
        self._client.close()
        stop_broker(self.paths)
        self.server.end_session(f"ao-{self.session_id}")
        end_marked(self.session_id)

    def view(self) -> SessionView:
        """The session as the journal tells it now."""
        self._read_on()
        assert self._view is not None
        return self._view

    def _read_on(self) -> None:
        """Read what is new in the journal; each fact is read once."""
        with self._reading:
            try:
                with Journal.open_read(self.paths.session(self.session_id)) as journal:
                    fresh = journal.facts(after=self.facts[-1].seq if self.facts else 0)
            except JournalError:
                fresh = []  # in the middle of a restart
            for item in fresh:
                self._view = step(self._view, item)
            self.facts += fresh

    def listeners(self) -> list[WorkerView]:
        """Workers that live and have said that they listen."""
        there = [worker for worker in self.view().team if worker.alive and worker.report is not None]
        return [worker for worker in there if worker.worker_id not in self.talkers]

    def spawn(self, task: str = "listen") -> str:
        return str(self.call(LEAD, "spawn_worker", task=task)["worker_id"])

    def call(self, worker_id: str, tool: str, /, **arguments: object) -> dict[str, Any]:
        """Call a tool as *worker_id* would, again while nobody answers. Raises ``Refused``."""
        found: list[httpx.Response] = []

        def answered() -> bool:
            self._url = self._url or self._find_url()
            try:
                url, head = f"{self._url}/tools/{tool}", self._head(worker_id)
                found[:] = [self._client.post(url, json=arguments, headers=head)]
            except httpx.HTTPError:
                self._url = ""
                return False
            return found[0].status_code < 500  # a supervisor that ends answers 503

        assert until(answered, within_s=ANSWERS_S, every_s=0.1), f"{tool} was never answered"
        reply = found[0].json()
        if not found[0].is_success:
            raise Refused(f"{tool}: {reply}")
        return dict(reply)

    def _find_url(self) -> str:
        """Where the last supervisor said that it answers; it keeps its port."""
        file = self.paths.session_run(self.session_id) / CONTROL_FILE
        return str(json.loads(file.read_text())["url"]).rstrip("/")

    def _head(self, worker_id: str) -> dict[str, str]:
        tokens = TokenBook.load(self.paths.session(self.session_id), self.session_id)
        token = tokens.token(worker_id, self.view().workers[worker_id].nonce)
        return {"Authorization": f"Bearer {token}"}

    def kill_supervisor(self) -> bool:
        view = self.view()
        if not lives(view.supervisor_pid, view.supervisor_started):
            return False
        os.kill(view.supervisor_pid, signal.SIGKILL)
        return True

    def kill_broker(self) -> bool:
        record = read_record(broker_folder(self.paths))
        if record is None or not lives(record.pid, record.started):
            return False
        os.kill(record.pid, signal.SIGKILL)
        return True

    def kill_agent(self, worker: WorkerView) -> bool:
        if not lives(worker.pid, worker.pid_started):
            return False
        os.kill(worker.pid, signal.SIGKILL)
        return True

    def shows_dialog(self, worker: WorkerView) -> bool:
        try:
            shown = look(self.server, worker.pane_id)
            return not shown.dead and classify(PRACTICE, plain(shown.screen)) is ScreenState.ASKS
        except TmuxError:
            return False

    def heard(self) -> dict[str, list[str]]:
        """Whom each message was heard by, once for each time."""
        found: dict[str, list[str]] = {}
        for worker in self.view().workers.values():
            path = Path(worker.worktree) / HEARD
            lines = path.read_text().splitlines() if path.is_file() else []
            for line in lines:
                found.setdefault(str(json.loads(line)["message_id"]), []).append(worker.worker_id)
        return found

    def said(self, worker_id: str, kind: str) -> list[str]:
        """What an agent's transcript holds: its prompts (``user``) or its own words (``assistant``)."""
        folder = kept_folder(self.paths.session(self.session_id), worker_id)
        texts = []
        for path in sorted(folder.rglob("practice-*.jsonl")):
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                if entry.get("type") == kind:
                    content = entry["message"]["content"]
                    texts.append(content if isinstance(content, str) else content[0]["text"])
        return texts

    def rest(self, seconds: float) -> None:
        SYSTEM_CLOCK.rest(seconds)
