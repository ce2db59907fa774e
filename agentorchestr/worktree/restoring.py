"""Look at what was saved and bring it back: into a new folder or on a new branch, never over anything."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import GitError, UsageError
from agentorchestr.worktree.git import CHECKOUT_S, run_git
from agentorchestr.worktree.repository import Repository, branch_tip, create_branch
from agentorchestr.worktree.snapshots import (
    INDEX_TITLE,
    LEFT_OUT,
    REBUILT,
    ROOT,
    SAVED_SUFFIX,
    WHY,
    SnapshotRow,
    list_snapshots,
)

LIST_HINT = "list them: agentorchestr snapshots list"
BATCH_BYTES = 64 * 1024 * 1024
"""How much of the saved files is held in memory at once, unless one file alone is larger."""
LINK, GITLINK, PROGRAM = b"120000", b"160000", b"100755"


@dataclass(frozen=True)
class SavedState:
    """What a snapshot holds, compared with the commit that was checked out."""

    row: SnapshotRow
    session_id: str
    worker_id: str
    why: str
    base: str
    """The commit it is compared with: a commit, or git's empty tree."""
    files: int
    """How many files differ from *base*, without the deleted ones."""
    deleted: int
    saved_bytes: int
    commits: int
    """Commits that were on no branch, saved with it."""
    left_out: tuple[str, ...]
    """Over the size limit, so not in it; their worktree was kept."""
    rebuilt: tuple[str, ...]
    """Folders a package manager or a cache fills again, so not in it."""

    @property
    def name(self) -> str:
        """Session, worker and number: enough to name it."""
        return self.row.ref.removeprefix(f"{ROOT}/")


@dataclass(frozen=True)
class _Entry:
    mode: bytes
    content: str
    name: bytes


class SavedStates:
    """The snapshots of one repository, read as they are asked for."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def listed(self, session: str = "") -> tuple[SavedState, ...]:
        """All of them, oldest first; with *session*, those of sessions whose id begins so."""
        rows = [row for row in list_snapshots(self._repo) if _session_of(row).startswith(session)]
        return tuple(self._read(row) for row in rows)

    def find(self, wanted: str) -> SavedState:
        """The one named *wanted*: its ref, ``SESSION/WORKER/N``, or the end or beginning of that.

        Raises ``UsageError`` when there is none, or more than one.
        """
        name = wanted.removeprefix(f"{ROOT}/").strip("/")
        rows = {row.ref.removeprefix(f"{ROOT}/"): row for row in list_snapshots(self._repo)}
        matching = [known for known in rows if known.startswith(name) or known.endswith(f"/{name}")]
        exact = [name] if name in rows else matching
        if not name or len(exact) != 1:
            problem = "no snapshot" if not exact else "more than one snapshot"
            raise UsageError(f"{problem} is named {wanted!r} in {self._repo.root}", hint=LIST_HINT)
        return self._read(rows[exact[0]])

    def _read(self, row: SnapshotRow) -> SavedState:
        answer = run_git(self._repo.root, "log", "-1", "--no-show-signature", "--format=%P%n%B", row.commit)
        parents, _, message = os.fsdecode(answer.out).partition("\n")
        ours = self._index_commits(parents.split())
        others = [parent for parent in parents.split() if parent not in ours]
        base = others[0] if others else self._empty_tree()
        raw = run_git(
            self._repo.root, "diff-tree", "-r", "-z", "--raw", "--no-renames", base, row.commit,
            timeout_s=CHECKOUT_S,
        ).records  # fmt: skip
        changes = [record.split(b" ") for record in raw[::2]]
        kept = [fields[3].decode() for fields in changes if fields[4] != b"D"]
        return SavedState(
            row=row,
            session_id=_session_of(row),
            worker_id=row.ref.split("/")[4],
            why=_line(message, WHY),
            base=base,
            files=len(kept),
            deleted=len(changes) - len(kept),
            saved_bytes=self._size(kept),
            commits=len(others) - 1 if others else 0,
            left_out=_listed(message, LEFT_OUT),
            rebuilt=_listed(message, REBUILT),
        )

    def _index_commits(self, parents: Sequence[str]) -> set[str]:
        if not parents:
            return set()
        lines = run_git(self._repo.root, "log", "--no-walk", "--format=%H %s", *parents).text.splitlines()
        return {line.split(" ")[0] for line in lines if line.partition(" ")[2].startswith(INDEX_TITLE)}

    def _empty_tree(self) -> str:
        return run_git(self._repo.root, "hash-object", "-t", "tree", "--stdin").text

    def _size(self, blobs: Sequence[str]) -> int:
        listing = "".join(f"{blob}\n" for blob in blobs if blob.strip("0")).encode()
        if not listing:
            return 0
        answer = run_git(self._repo.root, "cat-file", "--batch-check=%(objectsize)", stdin=listing)
        return sum(int(line) for line in answer.text.splitlines() if line.isdigit())

    def stat(self, state: SavedState) -> str:
        """Which files differ from what was checked out, and by how much."""
        return self._compared(state, "--stat=100", "--summary")

    def diff(self, state: SavedState) -> str:
        """How they differ."""
        return self._compared(state, "-p")

    def _compared(self, state: SavedState, *how: str) -> str:
        words = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--no-color", *how)
        answer = run_git(self._repo.root, *words, state.base, state.row.commit, timeout_s=CHECKOUT_S)
        return answer.out.decode(errors="backslashreplace")

    def file(self, state: SavedState, name: str) -> bytes:
        """One saved file, byte for byte. Raises ``UsageError`` when it is not in the snapshot."""
        wanted = os.fsencode(name)
        found = [entry for entry in self._entries(state) if wanted in (entry.name, _restored(entry.name))]
        if not found or found[0].mode == GITLINK:
            raise UsageError(
                f"{state.name} holds no file {name!r}", hint=f"agentorchestr snapshots show {state.name}"
            )
        return next(self._contents(found[:1]))[1]

    def _entries(self, state: SavedState) -> list[_Entry]:
        found = []
        answer = run_git(self._repo.root, "ls-tree", "-r", "-z", "--full-tree", state.row.commit)
        for record in answer.records:
            head, _, name = record.partition(b"\t")
            mode, _, content = head.split(b" ")
            found.append(_Entry(mode, content.decode(), name))
        return found

    def _contents(self, entries: Sequence[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
        """Each file with its bytes, a bounded amount read at once."""
        listing = "".join(f"{entry.content}\n" for entry in entries).encode()
        sizes = run_git(self._repo.root, "cat-file", "--batch-check=%(objectsize)", stdin=listing)
        batch: list[_Entry] = []
        held = 0
        for entry, size in zip(entries, map(int, sizes.text.splitlines()), strict=True):
            if batch and held + size > BATCH_BYTES:
                yield from self._batch(batch)
                batch, held = [], 0
            batch.append(entry)
            held += size
        yield from self._batch(batch)

    def _batch(self, entries: Sequence[_Entry]) -> Iterator[tuple[_Entry, bytes]]:
        if not entries:
            return
        listing = "".join(f"{entry.content}\n" for entry in entries).encode()
        out = run_git(self._repo.root, "cat-file", "--batch", stdin=listing, timeout_s=CHECKOUT_S).out
        place = 0
        for entry in entries:
            line = out.index(b"\n", place)
            size = int(out[place:line].rpartition(b" ")[2])
            yield entry, out[line + 1 : line + 1 + size]
            place = line + size + 2  # a newline of git's own follows each

    def to_folder(self, state: SavedState, folder: Path) -> int:
        """Write all its files, those that were committed as well, into the new *folder*; how many.

        Raises ``UsageError`` when *folder* is there already, ``GitError`` when it cannot be written.
        """
        try:
            folder.mkdir()
        except FileExistsError as exc:
            raise UsageError(f"{folder} is there already", hint="name a folder that is not") from exc
        except OSError as exc:
            raise UsageError(f"{folder} cannot be made: {exc.strerror}", hint="name another") from exc
        entries = self._entries(state)
        try:
            for entry in entries:
                if entry.mode == GITLINK:
                    (folder / os.fsdecode(entry.name)).mkdir(parents=True)
            for entry, content in self._contents([one for one in entries if one.mode != GITLINK]):
                _write(folder / os.fsdecode(_restored(entry.name)), entry.mode, content)
            _complete_nested(folder, entries)
        except OSError as exc:
            raise GitError(
                f"{folder} is not complete: {exc.strerror}", hint="the snapshot is as it was; try again"
            ) from exc
        return len(entries)

    def to_branch(self, state: SavedState, branch: str) -> None:
        """Make the new *branch*, at the snapshot itself. Nothing is checked out.

        Raises ``UsageError`` when the name cannot be used or is taken.
        """
        if run_git(self._repo.root, "check-ref-format", "--branch", branch, accept=range(256)).code:
            raise UsageError(f"{branch!r} is no name for a branch", hint="letters, digits, / and -")
        if branch_tip(self._repo, branch) is not None:
            raise UsageError(f"the branch {branch} exists", hint="name one that does not")
        create_branch(self._repo, branch, state.row.commit)


def _session_of(row: SnapshotRow) -> str:
    return row.ref.split("/")[3]


def _line(message: str, heading: str) -> str:
    found = [line for line in message.splitlines() if line.startswith(heading)]
    return found[0].removeprefix(heading).strip() if found else ""


def _listed(message: str, heading: str) -> tuple[str, ...]:
    lines = message.splitlines()
    if heading not in lines:
        return ()
    found = []
    for line in lines[lines.index(heading) + 1 :]:
        if not line.startswith("  "):
            break
        found.append(line.removeprefix("  "))
    return tuple(found)


def _restored(name: bytes) -> bytes:
    """The name a file had: git stores no ``.git``, so a snapshot keeps it under another name."""
    parts = name.split(b"/")
    return b"/".join(part[:4] if part.lower() == b".git" + SAVED_SUFFIX else part for part in parts)


def _complete_nested(folder: Path, entries: Sequence[_Entry]) -> None:
    """Make the folders without which git does not know a nested repository: none is saved empty."""
    for name in {entry.name for entry in entries if entry.name.endswith(b".git" + SAVED_SUFFIX + b"/HEAD")}:
        git_dir = (folder / os.fsdecode(_restored(name))).parent
        for part in ("objects", "refs"):
            (git_dir / part).mkdir(exist_ok=True)


def _write(path: Path, mode: bytes, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == LINK:
        path.symlink_to(os.fsdecode(content))
        return
    # Exclusive: two names that this file system takes for one must not become one file.
    fd = os.open(
        path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o755 if mode == PROGRAM else 0o644
    )
    with os.fdopen(fd, "wb") as out:
        out.write(content)
