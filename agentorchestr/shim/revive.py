"""Bring the supervisor's pane back. ``python -I -S revive.py RUN_DIR TMUX SOCKET PANE_ID MAX SECONDS``.

Run by tmux's hook, which may add the id of the pane that died: another pane than PANE_ID is ignored.
The first restart is at once, each further one within SECONDS waits twice as long as the one before it.
A supervisor that was restarted MAX times within SECONDS stays dead, with RUN_DIR/crash-loop, and what
RUN_DIR/give-up.json names is run, once. One that had finished (RUN_DIR/finished) is left alone.
"""

import fcntl
import json
import os
import select
import subprocess
import sys
import time

WORDS = 6
TMUX_TIMEOUT_S = 10
LONGEST_PAUSE_S = 8


def recent(text: str, *, now: float, seconds: float) -> list[float]:
    """The restarts in *text*, one time per line, that are not older than *seconds*."""
    times = []
    for line in text.splitlines():
        try:
            times.append(float(line))
        except ValueError:
            continue
    return [at for at in times if 0 <= now - at <= seconds]


def pause_before(restarts: int) -> float:
    """How long to wait after so many restarts: what makes a supervisor die may pass, such as a full disk."""
    return min(2.0 ** (restarts - 1), LONGEST_PAUSE_S) if restarts else 0.0


def count_restart(run_dir: str, *, most: int, seconds: float) -> int | None:
    """How many restarts came before this one, which is written down; None when it is one too many."""
    # tmux may run two hooks at once, so the count is read and written under a lock.
    fd = os.open(os.path.join(run_dir, "restarts"), os.O_CREAT | os.O_RDWR, 0o600)  # noqa: PTH118 - as in hook.py
    with open(fd, "r+", encoding="utf-8") as file:  # noqa: PTH123 - as in hook.py
        fcntl.flock(file, fcntl.LOCK_EX)
        now = time.time()
        times = recent(file.read(), now=now, seconds=seconds)
        if len(times) >= most:
            write_crash_loop(run_dir, at=now, restarts=len(times), seconds=seconds)
            return None
        file.seek(0)
        file.truncate()
        file.write("".join(f"{at!r}\n" for at in [*times, now]))
    return len(times)


def write_crash_loop(run_dir: str, *, at: float, restarts: int, seconds: float) -> None:
    """Leave the file that tells everybody why the supervisor stays dead."""
    path = os.path.join(run_dir, "crash-loop")  # noqa: PTH118 - as in hook.py
    fd = os.open(f"{path}.new", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123 - as in hook.py
        json.dump({"at": at, "restarts": restarts, "seconds": seconds}, file)
    os.replace(f"{path}.new", path)  # noqa: PTH105 - as in hook.py


def give_up(run_dir: str) -> None:
    """Start what is to be done now that nobody looks after the agents any more."""
    launcher = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launcher.py")  # noqa: PTH100, PTH118, PTH120 - as in hook.py
    file = os.path.join(run_dir, "give-up.json")  # noqa: PTH118 - as in hook.py
    if os.path.exists(file):  # noqa: PTH110 - as in hook.py
        nothing = subprocess.DEVNULL
        argv = [sys.executable, "-I", "-S", launcher, file]
        subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)


def has_finished(run_dir: str) -> bool:
    """Whether the supervisor came to its end, or somebody ended the session without it."""
    return os.path.exists(os.path.join(run_dir, "finished"))  # noqa: PTH110, PTH118 - as in hook.py


def main(arguments: list[str]) -> None:
    """Respawn the pane with the command it was opened with, if it may come back."""
    run_dir, tmux, socket, pane_id, most, seconds = arguments[:WORDS]
    if arguments[WORDS:] not in ([], [pane_id]):
        return
    if has_finished(run_dir):
        return
    restarts = count_restart(run_dir, most=int(most), seconds=float(seconds))
    if restarts is None:
        give_up(run_dir)
        return
    select.select([], [], [], pause_before(restarts))
    if not has_finished(run_dir):
        # Without a command, tmux runs the one the pane was opened with. Only a dead pane: no -k.
        respawn = [tmux, "-S", socket, "respawn-pane", "-t", pane_id]
        subprocess.run(respawn, check=False, capture_output=True, timeout=TMUX_TIMEOUT_S)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        # tmux would show the output or the exit code of a failed hook over a person's pane.
        os._exit(0)
