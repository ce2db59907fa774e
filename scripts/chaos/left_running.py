"""Programs beside the sessions: what a careless agent leaves running, and bystanders that count signals."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentorchestr.clock import until

LEAVES = """
import os, subprocess, sys
IDLE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
def leave(name, **options):
    if os.fork():
        os.wait()
        return
    os.setsid()
    child = subprocess.Popen([sys.executable, "-c", IDLE], start_new_session=True, **options)
    path = os.path.join(sys.argv[1], name)
    with open(path + ".new", "w") as out:
        out.write(str(child.pid))
    os.rename(path + ".new", path)
    os._exit(0)
null = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
leave("with-mark", **null)
if os.path.exists("/sys/fs/cgroup/cgroup.controllers") or os.path.exists("/sys/fs/cgroup/unified"):
    leave("without-mark", env={}, **null)
else:
    leave("without-mark", **null)
"""
"""Two servers that detach and ignore SIGTERM; where a cgroup can know it, one drops its environment too."""

COUNTS = """
import signal, sys, time
got = 0
def count(number, _):
    global got
    got += 1
    with open(sys.argv[1], "w") as out:
        out.write(str(got))
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGQUIT, signal.SIGCHLD):
    signal.signal(number, count)
open(sys.argv[1] + ".ready", "w").close()
while True:
    time.sleep(3600)
"""
BYSTANDERS = 3


@contextmanager
def bystanders(home: Path) -> Iterator[dict[Path, "subprocess.Popen[bytes]"]]:
    """Programs of the same user that belong to no session; each counts the signals it gets into its file."""
    begun: dict[Path, subprocess.Popen[bytes]] = {}
    for number in range(BYSTANDERS):
        file = home / f"bystander{number}"
        words = [sys.executable, "-c", COUNTS, str(file)]
        # One of them in the very same directory and environment as our own commands.
        begun[file] = subprocess.Popen(
            words, start_new_session=number > 0, env={**os.environ, "HOME": str(home)}
        )
    until(lambda: all(Path(f"{file}.ready").exists() for file in begun), within_s=30)
    try:
        yield begun
    finally:
        for process in begun.values():
            process.kill()
            process.wait()


def signalled(begun: dict[Path, "subprocess.Popen[bytes]"]) -> int:
    """How many signals the bystanders got; one that was killed counts as one."""
    counted = sum(int(file.read_text()) for file in begun if file.exists())
    return counted + sum(process.poll() is not None for process in begun.values())
