"""One command at a time may start, resume, pause or end a session from outside."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from agentorchestr.paths import Paths

LOCK_FILE = "lock"


@contextlib.contextmanager
def session_lock(paths: Paths, session_id: str) -> Iterator[bool]:
    """Whether we hold the session until the end of the block; False at once when another command does.

    The kernel lets it go when its holder dies.
    """
    fd = os.open(paths.session(session_id) / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
