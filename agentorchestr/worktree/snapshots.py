"""Save a worktree to a hidden ref, byte for byte, without touching the tree or its index.

The files go to ``git fast-import`` as they are: no filter and no line-end rule alters them, and
names that an index refuses (``.git`` inside a nested repository) are kept under a changed name.
"""

import os
import stat
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agentorchestr.errors import GitError, WorkAtRisk
from agentorchestr.worktree.git import CHECKOUT_S, FALLBACK_EMAIL, FALLBACK_NAME, run_git
from agentorchestr.worktree.repository import Repository, is_there
from agentorchestr.worktree.unsaved import Unsaved, read_unsaved

ROOT = "refs/agentorchestr/snapshots"
SAVED_SUFFIX = b".saved"
INDEX_TITLE = "index: "
"""How the message of the commit begins that holds what was staged."""
WHY = "Why: "
LEFT_OUT = "Not saved, over the size limit:"
REBUILT = "Not saved, since a tool fills it again:"
COPY_BYTES = 1 << 20
ATTEMPTS = 5


@dataclass(frozen=True)
class SnapshotRow:
    """One saved state of a worktree. Its files come back with ``git restore --source REF``."""

    ref: str
    commit: str
    at: int


def snapshot(
    repo: Repository, worktree: Path, *, session_id: str, worker_id: str, why: str = "asked for"
) -> str | None:
    """Save what *worktree* holds that no commit holds, and return the ref; None when there is nothing.

    Saved are tracked, untracked and ignored files, nested repositories with their history, staged
    content, and commits no branch holds. What is over the limit is listed in the message.
    Raises ``WorkAtRisk`` when something cannot be read.
    """
    unsaved = read_unsaved(repo, worktree)
    if unsaved.empty:
        return None
    return write_snapshot(repo, unsaved, session_id=session_id, worker_id=worker_id, why=why)


def snapshot_files(
    repo: Repository, tree: Path, names: Collection[bytes], *, head: str, session_id: str, worker_id: str
) -> str | None:
    """Save *names* of *tree*, on top of *head*, and return the ref; None when all of them are deletions."""
    files: dict[bytes, tuple[str, tuple[int, ...]]] = {}
    for name in names:
        path = tree / os.fsdecode(name)
        if is_there(tree, name):
            seen = path.lstat()
            signature = (seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
            files[name] = (str(path), signature)
    if not files:
        return None
    unsaved = Unsaved(head=head, files=files)
    return write_snapshot(repo, unsaved, session_id=session_id, worker_id=worker_id, why="before a landing")


def write_snapshot(repo: Repository, unsaved: Unsaved, *, session_id: str, worker_id: str, why: str) -> str:
    """Write *unsaved* as a commit and return its ref, which is new; *why* is one line for the person."""
    folder = f"{ROOT}/{session_id}/{worker_id}"
    run_git(repo.root, "check-ref-format", f"{folder}/1")
    with tempfile.TemporaryFile(dir=repo.git_dir) as stream:
        for attempt in range(ATTEMPTS):
            taken = [int(row.ref.rpartition("/")[2]) for row in _rows(repo, folder)]
            ref = f"{folder}/{max(taken, default=0) + 1}"
            stream.seek(0)
            stream.truncate()
            title = f"snapshot of {worker_id} in session {session_id}"
            _write_stream(stream, ref, unsaved, title=title, why=why)
            answer = run_git(
                repo.root,
                "fast-import",
                "--quiet",
                "--done",
                stdin=stream,
                timeout_s=CHECKOUT_S,
                accept=range(256),
            )
            if answer.code == 0:
                return ref
            # Another process may have taken the same number: git then refuses to move the ref.
            if attempt == ATTEMPTS - 1 or "Not updating" not in answer.err:
                raise GitError(f"the snapshot {ref} cannot be written: {answer.err}")
    raise AssertionError("unreachable")


def list_snapshots(repo: Repository, session_id: str = "") -> tuple[SnapshotRow, ...]:
    """All snapshots of a session, or of every session, oldest first."""
    rows = _rows(repo, f"{ROOT}/{session_id}" if session_id else ROOT)
    return tuple(sorted(rows, key=lambda row: (row.at, row.ref)))


def _rows(repo: Repository, folder: str) -> list[SnapshotRow]:
    how = "--format=%(refname) %(objectname) %(committerdate:unix)"
    lines = run_git(repo.root, "for-each-ref", how, folder).text.splitlines()
    return [SnapshotRow(ref, commit, int(at)) for ref, commit, at in (line.split(" ") for line in lines)]


def _write_stream(out: BinaryIO, ref: str, unsaved: Unsaved, *, title: str, why: str) -> None:
    parents = list(unsaved.heads)
    if unsaved.staged:
        _commit(
            out, ref, mark=1, message=f"{INDEX_TITLE}{title}", parents=[unsaved.head] if unsaved.head else []
        )
        for name, (mode, content) in sorted(unsaved.staged.items(), key=lambda item: item[1][1] != b""):
            line = b"M %s %s %s\n" % (mode, content, _quoted(name)) if content else b"D %s\n" % _quoted(name)
            out.write(line)
        parents.append(":1")
    first = [unsaved.head] if unsaved.head else []
    others = [parent for parent in parents if parent != unsaved.head]
    _commit(out, ref, mark=2, message=_message(title, why, unsaved), parents=first + others)
    if not unsaved.head:
        out.write(b"deleteall\n")
    for name in sorted(unsaved.deleted):
        out.write(b"D %s\n" % _quoted(name))
    taken = set(unsaved.files)
    for name, (path, signature) in sorted(unsaved.files.items()):
        _file(out, _storable(name, taken), Path(path), signature)
    out.write(b"done\n")


def _commit(out: BinaryIO, ref: str, *, mark: int, message: str, parents: list[str]) -> None:
    text = message.encode(errors="backslashreplace")
    who = f"{FALLBACK_NAME} <{FALLBACK_EMAIL}> {int(time.time())} +0000"
    out.write(f"commit {ref}\nmark :{mark}\ncommitter {who}\ndata {len(text)}\n".encode() + text + b"\n")
    words = ["from", *["merge"] * len(parents)]
    out.writelines(f"{word} {parent}\n".encode() for word, parent in zip(words, parents, strict=False))


def _message(title: str, why: str, unsaved: Unsaved) -> str:
    lines = [title, "", f"{WHY}{why}", ""]
    for heading, names in ((LEFT_OUT, unsaved.left_out), (REBUILT, unsaved.rebuildable)):
        if names:
            lines += [heading, *(f"  {name}" for name in names), ""]
    return "\n".join(lines)


def _file(out: BinaryIO, name: bytes, path: Path, signature: tuple[int, ...]) -> None:
    mode, size = signature[:2]
    try:
        if stat.S_ISLNK(mode):
            target = os.fsencode(path.readlink())
            out.write(b"M 120000 inline %s\ndata %d\n" % (_quoted(name), len(target)) + target + b"\n")
            return
        out.write(
            b"M %s inline %s\ndata %d\n" % (b"100755" if mode & 0o100 else b"100644", _quoted(name), size)
        )
        copied = sum(map(out.write, _pieces(path, size)))
    except OSError as exc:
        raise WorkAtRisk(f"{path} cannot be saved: {exc.strerror}") from exc
    if copied != size:
        raise WorkAtRisk(f"{path} changed while it was being saved")
    out.write(b"\n")


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as source:
        while size > 0 and (piece := source.read(min(COPY_BYTES, size))):
            size -= len(piece)
            yield piece


def _storable(name: bytes, taken: set[bytes]) -> bytes:
    """*name* as git stores it: a component ``.git`` is refused there, and gets a suffix here."""
    parts = name.split(b"/")
    if all(part.lower() != b".git" for part in parts):
        return name
    parts = [part + SAVED_SUFFIX if part.lower() == b".git" else part for part in parts]
    while b"/".join(parts) in taken:
        parts[-1] += SAVED_SUFFIX
    return b"/".join(parts)


def _quoted(name: bytes) -> bytes:
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
