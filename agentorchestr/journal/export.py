"""A finished session's journal as one text file, and back: whole, or refused.

One JSON document per line: a head, each fact, and a checksum of all lines before it.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from agentorchestr.errors import JournalError, UsageError
from agentorchestr.journal.encoding import decode, encode
from agentorchestr.model.facts import Recorded

FORMAT = "agentorchestr-journal"
VERSION = 1
LIMIT_BYTES = 1 << 30


def write_export(file: Path, recorded: Sequence[Recorded]) -> None:
    """Write *recorded* to the new *file*, mode 0600.

    Raises ``UsageError`` when it exists or cannot be written.
    """
    head = {"format": FORMAT, "version": VERSION, "facts": len(recorded)}
    lines = [json.dumps(head), *(_line(item) for item in recorded)]
    text = "".join(f"{line}\n" for line in lines)
    ending = json.dumps({"sha256": _digest(text)})
    try:
        fd = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as out:
            out.write(f"{text}{ending}\n")
    except FileExistsError as exc:
        raise UsageError(f"{file} is there already", hint="name a file that is not") from exc
    except OSError as exc:
        raise UsageError(f"{file} cannot be written: {exc.strerror}", hint="name another file") from exc


def _line(item: Recorded) -> str:
    kind, body = encode(item.fact)
    return json.dumps([item.seq, item.at, item.generation, kind, json.loads(body)])


def read_export(file: Path) -> list[Recorded]:
    """The facts in *file*, as they were stored.

    Raises ``JournalError`` when it is no export, of a newer version, cut off, or altered.
    """
    try:
        with file.open("rb") as source:
            raw = source.read(LIMIT_BYTES + 1)
    except OSError as exc:
        raise JournalError(f"{file} cannot be read: {exc.strerror}") from exc
    text = raw.decode("ascii", "replace")
    lines = text.splitlines()
    count = _count(file, lines[0] if lines else "")
    body, _, ending = text.rstrip("\n").rpartition("\n")
    if len(lines) != count + 2 or ending != json.dumps({"sha256": _digest(body + "\n")}):
        raise JournalError(f"{file} is not whole: it was cut off or changed", hint="export it again")
    return [_recorded(file, line) for line in lines[1:-1]]


def _count(file: Path, line: str) -> int:
    try:
        head = json.loads(line)
        ours, version, count = head["format"] == FORMAT, int(head["version"]), int(head["facts"])
    except (ValueError, TypeError, LookupError, RecursionError):
        ours, version, count = False, 0, 0
    if not ours:
        raise JournalError(f"{file} is no exported journal", hint="agentorchestr logs ID --export FILE")
    if version > VERSION:
        raise JournalError(f"{file} was written by a newer agentorchestr", hint="update agentorchestr")
    return count


def _recorded(file: Path, line: str) -> Recorded:
    try:
        seq, at, generation, kind, body = json.loads(line)
        return Recorded(int(seq), float(at), int(generation), decode(str(kind), json.dumps(body)))
    except (ValueError, TypeError) as exc:
        raise JournalError(f"{file} holds a broken fact: {exc}") from exc


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
