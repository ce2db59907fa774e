"""A person's machine with both real agents on it, and the model behind them."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from agentorchestr.paths import Paths
from tests.scripted_model.server import ScriptedModel


@dataclass
class World:
    """A person's machine: a home with both agents set up, a repository with unsaved work, a model."""

    env: dict[str, str]
    project: Path
    model: ScriptedModel
    paths: Paths

    def ours(self, *words: str, limit_s: float = 30) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "agentorchestr", *words]
        return subprocess.run(
            argv,
            check=False,
            cwd=self.project,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
        )

    def living(self) -> list[str]:
        """The command lines of all processes whose home is this one."""
        found = []
        for process in psutil.process_iter():
            try:
                home = process.environ().get("HOME")
                if home == self.env["HOME"] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


def told(model: ScriptedModel) -> str:
    """What every part was told, one line per request."""
    begin = model.records[0].at if model.records else 0.0
    return "\n".join(f"{record.at - begin:6.1f} s {record.line()}" for record in model.records)
