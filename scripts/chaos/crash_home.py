"""A home with a project, for one session of practice agents: four tasks, a conflict, a red check."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from agentorchestr.clock import until
from agentorchestr.journal.encoding import decode
from agentorchestr.journal.store import FILE_NAME
from agentorchestr.model.facts import Recorded
from agentorchestr.paths import Paths

TOP = Path(__file__).parents[2]
TASKS = ("alpha", "beta", "gamma", "delta")
ADD_LINE = (
    'new="$(git rev-parse --git-dir)/new.txt"; '
    '{{ cat words.txt; echo {word}; }} | sort -u >"$new" && mv "$new" words.txt'
)
"""As an editor does it: whole or not at all, and again does no harm."""
CHECK = "! grep -rqs BROKEN made"
GOAL = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice", "--checks", CHECK)
DONE = '{{ do = "call", tool = "report_done", args = {{ summary = "{word} is there" }} }},'
PLAIN = f"""
[[worker]]
match = "make {{word}}"
[[worker.turns]]
steps = [
  {{{{ do = "write", file = "made/{{word}}.txt", text = "{{text}}\\n" }}}},
  {{add}}
  {{{{ do = "call", tool = "report_progress", args = {{{{ message = "half of {{word}}" }}}} }}}},
  {{{{ do = "commit", message = "{{word}}" }}}},
  {DONE}
]
"""
AGAIN = f"""
[[worker.turns]]
on = "conflicts with"
steps = [
  {{{{ do = "update" }}}},
  {{{{ do = "write", file = "words.txt", text = "alpha\\nbeta\\nword\\n" }}}},
  {{{{ do = "commit", message = "both words" }}}},
  {DONE}
]
"""
REPAIR = f"""
[[worker.turns]]
on = "checks fail"
steps = [
  {{{{ do = "write", file = "made/{{word}}.txt", text = "whole\\n" }}}},
  {{{{ do = "commit", message = "repaired" }}}},
  {DONE}
]
"""


def scenario() -> str:
    """The first two change the same line of one file, the third fails the check at first."""
    listed = ", ".join(f'{{ task = "make {word}" }}' for word in TASKS)
    parts = [f'[[lead]]\nmatch = "."\ntasks = [{listed}]\n']
    for word in TASKS:
        meets = word in {"alpha", "beta"}
        line = ADD_LINE.format(word=word).replace('"', '\\"')
        add = f'{{ do = "shell", argv = ["sh", "-c", "{line}"] }},' if meets else ""
        text = "BROKEN" if word == "gamma" else word
        parts.append(PLAIN.format(word=word, text=text, add=add))
        parts.append((AGAIN if meets else REPAIR if word == "gamma" else "").format(word=word))
    return "".join(parts)


@dataclass
class Home:
    """Everything of one run lies below *folder*, which is its own and has a short path."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="ao-")))
    env: dict[str, str] = field(init=False)
    paths: Paths = field(init=False)

    def __post_init__(self) -> None:
        for name in ("home", "run"):
            (self.folder / name).mkdir(mode=0o700)
        (self.folder / "scenario.toml").write_text(scenario())
        self.env = {
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "a@example.invalid" for who in ("AUTHOR", "COMMITTER")},
            "PYTHONPATH": str(TOP),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AGENTORCHESTR_PRACTICE_SCENARIO": str(self.folder / "scenario.toml"),
            "AGENTORCHESTR_PRACTICE_PACE": "0",
        }
        self.paths = Paths.from_env(self.env)
        self._make_project()

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def said(self) -> Path:
        """What the commands printed."""
        return self.folder / "said.txt"

    def _make_project(self) -> None:
        self.project.mkdir()
        (self.project / "words.txt").write_text("word\n")
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "first")):
            self.git(*words)

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.project, env=self.env, check=True, capture_output=True, timeout=60
        )
        return done.stdout.decode().strip()

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Run ``agentorchestr`` as a person does."""
        with self.said.open("ab") as out:
            out.write(f"$ agentorchestr {' '.join(words)}\n".encode())
            out.flush()
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "agentorchestr", *words],
                cwd=self.project,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def session_id(self) -> str:
        """The only session; empty while there is none."""
        found = [place.parent.name for place in self.paths.sessions.glob(f"*/{FILE_NAME}")]
        return found[0] if found else ""

    def facts(self, *, after: int) -> list[Recorded]:
        """What stands in the journal after fact *after*; read only, and nothing while it cannot be read."""
        place = self.paths.session(self.session_id()) / FILE_NAME
        query = "SELECT seq, at, generation, kind, body FROM facts WHERE seq > ? ORDER BY seq"
        try:
            with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=1)) as db:
                rows = db.execute(query, (after,)).fetchall()
        except sqlite3.Error:
            return []
        return [Recorded(seq, at, generation, decode(kind, body)) for seq, at, generation, kind, body in rows]

    def processes(self) -> Iterator[psutil.Process]:
        """Every process of this home, whatever it is."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get("HOME") == self.env["HOME"]:
                    yield process

    def end(self) -> None:
        """Leave nothing of it."""
        power_off(self)
        shutil.rmtree(self.folder, ignore_errors=True)


def power_off(home: Home) -> None:
    """Kill every process of *home*, and those that they start meanwhile."""

    def gone() -> bool:
        found = [each for each in home.processes() if each.status() != psutil.STATUS_ZOMBIE]
        for process in found:
            kill(process)
        return not found

    assert until(gone, within_s=60, every_s=0.02)


def kill(process: psutil.Process) -> None:
    """End it at once; one that has gone is fine."""
    with contextlib.suppress(psutil.Error):
        process.send_signal(signal.SIGKILL)
