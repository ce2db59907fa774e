"""One agent in a pane of a private tmux server, started from a Launch the way the product does it."""

import json
import subprocess
import sys
from pathlib import Path

from agentorchestr.agents.launch import Launch
from agentorchestr.clock import until

# What the product's launcher does, in short: argv of the pane holds no environment.
EXEC = "import json,os,sys;l=json.load(open(sys.argv[1]));l['env'].setdefault('TERM',os.environ['TERM']);os.chdir(l['cwd']);os.execve(l['argv'][0],l['argv'],l['env'])"


class AgentPane:
    def __init__(
        self, socket: Path, launch: Launch, scratch: Path, *, size: tuple[int, int] = (120, 40)
    ) -> None:
        self.tmux = ("tmux", "-S", str(socket), "-f", "/dev/null")
        file = scratch / "launch.json"
        file.write_text(json.dumps({"argv": launch.argv, "env": launch.env, "cwd": str(launch.cwd)}))
        words = (sys.executable, "-I", "-S", "-c", EXEC, str(file))
        columns, lines = map(str, size)
        self._run("new-session", "-d", "-x", columns, "-y", lines, *words)
        self._run("set-option", "-g", "remain-on-exit", "on")

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self.tmux, *words], check=True, capture_output=True, timeout=10)
        return done.stdout.decode()

    @property
    def pid(self) -> int:
        return int(self._run("display-message", "-p", "#{pane_pid}"))

    def screen(self, *, colours: bool = False) -> list[str]:
        return self._run("capture-pane", "-p", *(["-e"] if colours else [])).splitlines()

    def text(self) -> str:
        return "\n".join(self.screen())

    def write(self, text: str) -> None:
        self._run("send-keys", "-l", text)
        assert until(lambda: text[-15:] in self.text(), within_s=10), self.text()

    def press(self, key: str) -> None:
        self._run("send-keys", key)

    def say(self, text: str) -> None:
        self.write(text)
        self.press("Enter")

    def end(self) -> None:
        subprocess.run([*self.tmux, "kill-server"], check=False, capture_output=True, timeout=10)
