"""Carry one hook event of an agent to the supervisor. Run as ``python -I -S hook.py SPOOL WORKER_ID``.

It stands in the agent's way at every tool call: it is quick, says nothing, and always ends with 0. The
event is a file before the bell rings, so a supervisor that is down finds it later.
"""

import _socket  # the C module alone: importing socket costs more than all the rest
import json
import os
import sys
import time

PAYLOAD_BYTES = 1 << 20
HEAD_BYTES = 4096


def read_payload(fd: int) -> object:
    """The JSON value on *fd*; what is no JSON, or too large, comes back as its first bytes.

    Reads to the end in any case, so that the agent never writes into a closed pipe.
    """
    raw = bytearray()
    while chunk := os.read(fd, 1 << 16):
        if len(raw) <= PAYLOAD_BYTES:
            raw += chunk
    if len(raw) > PAYLOAD_BYTES:
        return _outline(bytes(raw), reason="too large")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _outline(bytes(raw), reason="no JSON")


def _outline(raw: bytes, *, reason: str) -> dict[str, str]:
    """What can be told of a payload we do not keep: the short fields that say which event it was."""
    import re

    found = {"unreadable": reason, "head": raw[:HEAD_BYTES].decode("utf-8", "replace")}
    for name in ("hook_event_name", "session_id", "transcript_path", "tool_name"):
        field = re.search(rb'"%s"\s*:\s*"([^"\\]{1,500})"' % name.encode(), raw)
        if field:
            found[name] = field[1].decode("utf-8", "replace")
    return found


def spool(folder: str, event: dict[str, object]) -> None:
    """Put *event* into *folder* as ``<time_ns>-<pid>.json``, whole or not at all, and ring its bell."""
    # From inside the folder, the bell's name is short enough for a socket address.
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
    """Spool the event on standard input for the worker named in *arguments*."""
    folder, worker_id = arguments
    payload = read_payload(0)
    spool(folder, {"worker_id": worker_id, "at": time.time(), "payload": payload})


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        # An agent shows a hook that fails to its model; ours never does, and needs no tidy end.
        os._exit(0)
