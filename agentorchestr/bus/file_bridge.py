"""Letters as a markdown file that people and agents read: one entry each, which no letter can forge."""

import json
import os
import re
import time
from pathlib import Path
from threading import Lock

from agentorchestr.bus.names import short_name
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Letter

MARK = "<!-- agentorchestr "
TAIL_BYTES = 256 * 1024
"""How much of the end is read to find what is there already."""
# What a terminal or a markdown reader could take for more than text, the tab and line feed apart.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
_HEADING = re.compile(r"^(\s*)(#|<!--|={2,}\s*$|-{2,}\s*$|`{3,}|~{3,})", re.MULTILINE)
_ENTRY = re.compile(rf"^{re.escape(MARK)}(\{{.*\}}) -->$", re.MULTILINE)


class FileBridge:
    """Appends each letter to *path* (mode 0600 when it is made); callable, for ``Bus.serve``.

    An entry is a heading, a comment line with everything else that is known of the letter, and the body,
    whose lines that could pass for any of these are escaped. A letter that is in the file already, from
    before a crash, is not written again.
    """

    def __init__(self, path: Path, *, sent: bool = False) -> None:
        self._path = path
        self._sent = sent
        self._lock = Lock()
        self._known = _known_ids(path)

    def __call__(self, letter: Letter) -> None:
        """Append *letter*. Raises ``UsageError`` when the file cannot be written."""
        with self._lock:
            if letter.letter_id in self._known:
                return
            text = entry_of(letter, sent=self._sent)
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fd = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
                with os.fdopen(fd, "wb") as file:
                    file.write(text.encode())
            except OSError as exc:
                raise UsageError(f"cannot write {self._path}: {exc.strerror}") from exc
            self._known.add(letter.letter_id)


def entry_of(letter: Letter, *, sent: bool = False) -> str:
    """One entry of the file. Each part of it is one line but the body."""
    other = letter.receiver if sent else letter.sender
    name = short_name(other) if other else "all"
    told = time.strftime("%Y-%m-%d %H:%M", time.localtime(letter.created_at))
    facts = {
        "id": letter.letter_id,
        "from": str(letter.sender),
        "to": str(letter.receiver) if letter.receiver else "all",
        "at": letter.created_at,
        "kind": letter.kind.value,
        "priority": letter.priority,
        "content_type": letter.content_type,
        "thread": letter.thread,
        "answers": letter.answers,
        "reply_to": str(letter.reply_to) if letter.reply_to else "",
        "verified": letter.verified,
    }
    kept = {key: value for key, value in facts.items() if value != ""}
    # In JSON a ">" may be written otherwise, so no value ends the comment.
    comment = json.dumps(kept).replace(">", "\\u003e").replace("<", "\\u003c")
    subject = _CONTROLS.sub(" ", letter.subject).replace("\t", " ").replace("\n", " ")
    heading = f"## [{told}] {'To' if sent else 'From'}: {name} | {subject}"
    return f"\n{heading}\n{MARK}{comment} -->\n{escaped(letter.body)}\n"


def escaped(body: str) -> str:
    """*body* without what could pass for a heading or a comment line of ours, or steer a terminal."""
    lines = body.replace("\r\n", "\n").replace("\r", "\n")
    return _HEADING.sub(r"\1\\\2", _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", lines)).rstrip("\n")


def _known_ids(path: Path) -> set[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - TAIL_BYTES, 0))
            tail = file.read().decode(errors="replace")
    except FileNotFoundError:
        return set()
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
    known = set()
    for found in _ENTRY.finditer(tail):
        try:
            known.add(str(json.loads(found[1])["id"]))
        except (ValueError, KeyError, TypeError):
            continue
    return known
