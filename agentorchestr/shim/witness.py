"""Run one command for a letter beside everything else, and leave a witness of its end.

Started with ``python -I -S``; imports nothing of ours. It goes into the background at once and outlives who
started it. A second start for the same letter waits for the first one and then runs nothing, so a restart
in the middle does not run the command twice.

Usage: witness.py KEY LIMIT_S PROGRAM [WORD …]; KEY.body is the command's standard input, KEY.out and
KEY.err get what it says, and KEY.done holds its exit code once it ended.
"""

import fcntl
import os
import signal
import sys

TIMED_OUT = 124
NOT_STARTED = 127
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Go into the background, run the command unless it ran, and write how it ended."""
    key, limit_s, argv = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    if os.fork():
        os._exit(0)
    os.setsid()
    # A service stop is not meant for the command, which has its own time limit.
    for sig in SIGNALS:
        signal.signal(sig, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    lock = os.open(f"{key}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not os.path.exists(f"{key}.done"):  # noqa: PTH110 - a path object is slow to make
        _write_done(key, _run(key, limit_s, argv))


def _run(key: str, limit_s: float, argv: list[str]) -> int:
    out = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, f"{key}.body", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, f"{key}.out", out, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, f"{key}.err", out, 0o600),
    ]
    try:
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=files, setsid=True, setsigdef=SIGNALS)
    except OSError as exc:
        _write(f"{key}.err", f"cannot run {argv[0]}: {exc.strerror}")
        return NOT_STARTED
    too_late = False

    def end(*_: object) -> None:
        nonlocal too_late
        too_late = True
        os.killpg(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    _, status = os.waitpid(pid, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return TIMED_OUT if too_late else os.waitstatus_to_exitcode(status)


def _write_done(key: str, code: int) -> None:
    _write(f"{key}.done.new", str(code))
    os.replace(f"{key}.done.new", f"{key}.done")  # noqa: PTH105 - a path object is slow to make


def _write(name: str, text: str) -> None:
    fd = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.write(fd, text.encode())
    os.close(fd)


if __name__ == "__main__":
    main()
