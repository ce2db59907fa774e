"""Tell the supervisor that a pane died. Run by tmux as ``python -I -S pane_died.py SPOOL PANE_ID``.

The same spool and bell as ``hook.py``, whose few lines are repeated: a shim imports nothing of ours.
"""

import _socket  # the C module alone: importing socket costs more than all the rest
import json
import os
import sys
import time


def spool(folder: str, event: dict[str, object]) -> None:
    """Put *event* into *folder* as ``<time_ns>-<pid>.json``, whole or not at all, and ring its bell."""
    os.chdir(folder)
    name = f"{time.time_ns()}-{os.getpid()}.json"
    fd = os.open(f".{name}.new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(fd, "wb") as file:  # noqa: PTH123 - pathlib alone costs a third of the start-up
        file.write(json.dumps(event).encode())
    os.rename(f".{name}.new", name)  # noqa: PTH104 - see above
    bell = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
    bell.setblocking(False)
    bell.sendto(b"1", "bell")


def main(arguments: list[str]) -> None:
    """Spool the death of the pane named in *arguments*."""
    folder, pane_id = arguments
    spool(folder, {"pane_id": pane_id, "at": time.time(), "died": True})


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        # tmux would show the output or the exit code of a failed hook over a person's pane.
        os._exit(0)
