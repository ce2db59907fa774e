"""Become a program whose end tmux is sure to notice. ``python -I -S sentinel.py PROGRAM ARGUMENT…``.

Run by tmux as a pane. When a pane's terminal closes, tmux up to 3.3a built with libutempter starts a
helper with SIGCHLD switched off; a program that ends just then stays a zombie, its pane is dead without
a status, and the ``pane-died`` hook does not run. Sending SIGCHLD again makes tmux look.

For the supervisor's pane, where nobody else would look. Source: a system call trace of tmux 3.3a.
"""

import os
import select
import signal
import sys

CANNOT_LAUNCH = 127
NUDGES_AFTER_S = (0.05, 0.25, 1.0)


def watch_from_aside(pid: int, *, server: int) -> None:
    """Leave a process that belongs to nobody and nudges *server* once *pid* has ended."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    # A second fork, so that the program we become has no child it does not know.
    if os.fork():
        os._exit(0)
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        _nudge_after(pid, server=server)
    finally:
        os._exit(0)


def _nudge_after(pid: int, *, server: int) -> None:
    # By handle: the number of a server that ended may come to mean another program.
    handle = os.pidfd_open(server)
    end = select.poll()
    end.register(os.pidfd_open(pid), select.POLLIN)
    end.poll()
    for pause_s in NUDGES_AFTER_S:
        select.select([], [], [], pause_s)
        signal.pidfd_send_signal(handle, signal.SIGCHLD)


def main(argv: list[str]) -> int:
    """Start the watcher and exec *argv*; return only when that failed."""
    # Only Linux has libutempter, and there pidfd_open.
    if hasattr(os, "pidfd_open"):
        watch_from_aside(os.getpid(), server=os.getppid())
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - that is what it is for
    except (OSError, IndexError, ValueError) as exc:
        sys.stderr.write(f"agentorchestr: cannot start {argv[:1]}: {exc}\n")
    return CANNOT_LAUNCH


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
