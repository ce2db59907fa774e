"""Who is killed: found by pid beforehand where that can be, so that the kill comes right after its fact."""

import contextlib
import shutil
import subprocess

import psutil

from agentorchestr.errors import OrchestrError
from agentorchestr.model.states import LEAD
from agentorchestr.model.view import SessionView, WorkerView
from agentorchestr.mqtt.broker import broker_folder, is_it, read_record
from agentorchestr.process import lives, marked
from agentorchestr.tmux.server import TmuxServer
from scripts.chaos.crash_home import Home, kill, power_off
from scripts.chaos.crash_plan import Plan, Victim


class Killer:
    """Kills parts of the session in *home*; *hit* are the worker ids whose programs it ended itself."""

    def __init__(self, home: Home, plan: Plan) -> None:
        self._home = home
        self._plan = plan
        self._tmux: psutil.Process | None = None
        self.command: subprocess.Popen[bytes] | None = None
        self.hit: list[str] = []
        self.done: list[Victim] = []

    def look(self) -> None:
        """Know the tmux server before it is needed: asking it takes a moment."""
        if self._tmux is not None and self._tmux.is_running():
            return
        self._tmux = None
        if self._home.paths.tmux_socket.exists():
            server = TmuxServer(self._home.paths.tmux_socket)
            with contextlib.suppress(OrchestrError, ValueError, psutil.Error):
                self._tmux = psutil.Process(int(server.run("display-message", "-p", "#{pid}")[0]))

    def kill(self, victim: Victim, view: SessionView) -> bool:
        """Whether there was somebody to kill."""
        found = self._everything() if victim is Victim.ALL else self._one(victim, view)
        if found:
            self.done.append(victim)
        return found

    def _everything(self) -> bool:
        """The machine goes down; every other one loses its run folder, as at a reboot."""
        power_off(self._home)
        if self.command is not None:
            self.command.wait()
        if self._plan.pick % 2:
            shutil.rmtree(self._home.paths.run, ignore_errors=True)  # in a folder of tempfile.mkdtemp
        return True

    def _one(self, victim: Victim, view: SessionView) -> bool:
        process = self._find(victim, view)
        if process is None:
            return False
        kill(process)
        if victim is Victim.COMMAND and self.command is not None:
            self.command.wait()
        return True

    def _find(self, victim: Victim, view: SessionView) -> psutil.Process | None:
        match victim:
            case Victim.COMMAND:
                over = self.command is None or self.command.poll() is not None
                return None if over or self.command is None else psutil.Process(self.command.pid)
            case Victim.SUPERVISOR:
                return self._supervisor(view)
            case Victim.BROKER:
                record = read_record(broker_folder(self._home.paths))
                alive = record is not None and is_it(record.pid, record.started)
                return psutil.Process(record.pid) if record is not None and alive else None
            case Victim.LEAD:
                return self._agent([worker for worker in view.workers.values() if worker.worker_id == LEAD])
            case Victim.WORKER:
                return self._agent(list(view.team))
            case _:
                self.look()
                return self._tmux

    def _agent(self, of: list[WorkerView]) -> psutil.Process | None:
        alive = [worker for worker in of if worker.alive and lives(worker.pid, worker.pid_started)]
        if not alive:
            return None
        chosen = alive[self._plan.pick % len(alive)]
        self.hit.append(chosen.worker_id)
        with contextlib.suppress(psutil.Error):
            return psutil.Process(chosen.pid)
        return None

    def _supervisor(self, view: SessionView) -> psutil.Process | None:
        """The one that took the session over, or one on its way to that."""
        if lives(view.supervisor_pid, view.supervisor_started):
            return psutil.Process(view.supervisor_pid)
        for pid in marked(f"{view.session_id}/supervisor"):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if "supervise" in process.cmdline():
                    return process
        return None
