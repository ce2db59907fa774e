"""A session's ledger of processes: its agents' and all that these started, so that they can be ended.

Three ways to know one, best first: the cgroup it cannot leave (where we may make one), its mark, and
having been seen below an agent before it let go of both. What was seen is a file, so that the next
supervisor knows it too.
"""

import json
import threading
from collections.abc import Mapping
from pathlib import Path

from agentorchestr.paths import write_private
from agentorchestr.process_table import close_scope, end_marked, family, lives, open_scope, scope_path

FILE_NAME = "processes.json"
Seen = dict[str, dict[int, float]]


class Ledger:
    """The ledger of one session, in its run folder. Safe to use from several threads."""

    def __init__(self, run_folder: Path, session_id: str) -> None:
        self._file = run_folder / FILE_NAME
        self._id = session_id
        self._name = f"agentorchestr-{session_id}"
        self._lock = threading.Lock()
        self._scope = ""
        self._seen: Seen = {}
        self._read()

    def _read(self) -> None:
        try:
            content = json.loads(self._file.read_text(encoding="ascii"))
            self._scope = str(content["scope"])
            self._seen = {
                str(worker_id): {int(pid): float(started) for pid, started in processes.items()}
                for worker_id, processes in content["seen"].items()
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return  # none was written yet, or not by us: the marks are there all the same

    def _write(self) -> None:
        write_private(self._file, json.dumps({"scope": self._scope, "seen": self._seen}))

    def scope_for(self, worker_id: str) -> str:
        """The cgroup that *worker_id*'s programs go into; empty where there can be none."""
        with self._lock:
            if not self._scope:
                made = open_scope(self._name)
                self._scope = str(made or "")
                if made is not None:
                    self._write()
            if not self._scope:
                return ""
            scope = Path(self._scope) / worker_id
            try:
                scope.mkdir(parents=True, exist_ok=True)
            except OSError:
                return ""
            return str(scope)

    def look(self, agents: Mapping[str, tuple[int, float]]) -> None:
        """Note what lives below each of *agents* (pid and start time by worker), and forget what ended."""
        with self._lock:
            before = {name: dict(seen) for name, seen in self._seen.items()}
            for worker_id in {*agents, *self._seen}:
                known = dict(self._seen.get(worker_id, {}))
                if worker_id in agents:
                    pid, started = agents[worker_id]
                    known[pid] = started
                self._seen[worker_id] = {pid: at for pid, at in family(known).items() if lives(pid, at)}
            self._seen = {name: seen for name, seen in self._seen.items() if seen}
            if self._seen != before:
                self._write()

    def end(self, *worker_ids: str, grace_s: float = 2.0) -> list[int]:
        """End each process of *worker_ids*, or without any of the whole session, and no other; their pids."""
        with self._lock:
            # A run folder that is gone takes the note along, but not what is in the cgroup.
            whole = self._scope or str(scope_path(self._name) or "")
            ours = worker_ids or tuple(self._seen)
            known = {pid: at for name in ours for pid, at in self._seen.get(name, {}).items()}
            scopes = tuple(Path(whole, worker_id) for worker_id in worker_ids or ("",)) if whole else ()
        prefixes = tuple(f"{self._id}:{worker_id}:" for worker_id in worker_ids) or (f"{self._id}:",)
        ended = end_marked(prefixes, grace_s=grace_s, known=known, scopes=scopes)
        for scope in scopes:
            close_scope(scope)
        with self._lock:
            for name in ours:
                self._seen.pop(name, None)
        return ended
