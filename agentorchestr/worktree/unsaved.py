"""Find what a worktree holds that no commit holds: the files a removal would lose.

git's own list is not enough: it shows neither edits to files marked "assume unchanged" nor anything
inside a nested repository. Both are looked for here.
"""

import filecmp
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agentorchestr.errors import WorkAtRisk
from agentorchestr.worktree.git import CHECKOUT_S, run_git, shown
from agentorchestr.worktree.heads import orphan_heads
from agentorchestr.worktree.listing import admin_dir
from agentorchestr.worktree.nested import find_nested, to_save
from agentorchestr.worktree.repository import Repository, is_there

BULK_BYTES = 256 * 1024 * 1024
"""How much of ignored files and nested repositories is saved; what is beyond is listed."""
REBUILDABLE = frozenset({b"node_modules", b"__pycache__"})
REBUILDABLE_IF_IT_HOLDS = (b"CACHEDIR.TAG", b"pyvenv.cfg")
GITLINK = b"160000"
# An edit that keeps size and time must still be seen, whatever the person set for speed.
STRICT = {"core.trustctime": "true", "core.checkStat": "default", "core.untrackedCache": "false"}


@dataclass
class Unsaved:
    """What no commit holds. Two readings that are equal mean that nothing was written in between."""

    head: str = ""
    """The commit that is checked out; empty when there is none yet."""
    heads: tuple[str, ...] = ()
    """Commits that only this worktree's own records reach."""
    files: dict[bytes, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    """By the name in the tree: where it lies, and its mode, size and times."""
    deleted: set[bytes] = field(default_factory=set)
    staged: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    """Staged content that is in neither HEAD nor the file: mode and object (empty: a deletion)."""
    left_out: list[str] = field(default_factory=list)
    """Over the limit: not to be saved, so not to be removed either."""
    rebuildable: list[str] = field(default_factory=list)
    """Ignored folders that a package manager or cache fills; never saved."""
    bulk_bytes: int = 0

    @property
    def empty(self) -> bool:
        """Whether a removal would lose nothing."""
        return not (self.heads or self.files or self.deleted or self.staged or self.left_out)


def read_unsaved(repo: Repository, worktree: Path, *, bulk_bytes: int = BULK_BYTES) -> Unsaved:
    """List what *worktree* holds that no commit holds; changes nothing, not even the index.

    Raises ``WorkAtRisk`` when a folder cannot be read or the worktree's ``.git`` is not the one we made.
    """
    admin = admin_dir(repo, worktree)
    found = Unsaved()
    reader = _Reader(repo, worktree, found, bulk_bytes)
    reader.read_status()
    reader.read_hidden()
    reader.read_nested(admin)
    found.heads = orphan_heads(worktree, admin)
    return found


@dataclass(frozen=True)
class _Reader:
    repo: Repository
    worktree: Path
    found: Unsaved
    bulk_bytes: int

    def read_status(self) -> None:
        answer = run_git(
            self.worktree, "status", "--porcelain=v2", "--branch", "-z", "--no-renames",
            "--untracked-files=all", "--ignored=matching", "--ignore-submodules=none",
            config=STRICT, timeout_s=CHECKOUT_S,
        )  # fmt: skip
        for record in answer.records:
            kind, _, rest = record.partition(b" ")
            if kind == b"#" and rest.startswith(b"branch.oid ") and not rest.endswith(b"(initial)"):
                self.found.head = rest.split(b" ")[1].decode()
            elif kind == b"1":
                self._changed(rest)
            elif kind == b"u":
                self._unmerged(rest)
            elif kind == b"?" and not rest.endswith(b"/") and not self._is_setup_link(rest):
                self._add(rest)
            elif kind == b"!":
                self._ignored(rest)

    def _changed(self, rest: bytes) -> None:
        letters, _, head_mode, index_mode, _, _, index_object, name = rest.split(b" ", 7)
        if letters[:1] != b"." and (letters[1:] != b"." or index_mode == GITLINK):
            gone = not index_object.strip(b"0")
            self.found.staged[name] = (index_mode, b"" if gone else index_object)
        if GITLINK not in (head_mode, index_mode):
            self._add_or_delete(name)

    def _unmerged(self, rest: bytes) -> None:
        fields = rest.split(b" ", 9)
        name = fields[9]
        for number, (mode, content) in enumerate(zip(fields[2:5], fields[6:9], strict=True), start=1):
            if content.strip(b"0") and mode != GITLINK:
                self.found.staged[name + b".stage%d" % number] = (mode, content)
        self._add_or_delete(name)

    def _add_or_delete(self, name: bytes) -> None:
        path = self.worktree / os.fsdecode(name)
        if is_there(self.worktree, name) and (path.is_symlink() or not path.is_dir()):
            self._add(name)
        else:
            self.found.deleted.add(name)

    def _add(self, name: bytes, *, source: Path | None = None, bulk: bool = False) -> None:
        path = source or self.worktree / os.fsdecode(name)
        seen = path.lstat()
        if not (stat.S_ISREG(seen.st_mode) or stat.S_ISLNK(seen.st_mode)) or name in self.found.files:
            return
        if bulk:
            if self.found.bulk_bytes + seen.st_size > self.bulk_bytes:
                self.found.left_out.append(shown(name))
                return
            self.found.bulk_bytes += seen.st_size
        signature = (seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
        self.found.files[name] = (str(path), signature)

    def _ignored(self, name: bytes) -> None:
        if not name.endswith(b"/"):
            if not self._same_as_the_persons(name):
                self._add(name, bulk=True)
            return
        for inner in self._walk(self.worktree / os.fsdecode(name), skip_rebuildable=True):
            relative = os.fsencode(inner.relative_to(self.worktree))
            if not self._same_as_the_persons(relative):
                self._add(relative, bulk=True)

    def _is_setup_link(self, name: bytes) -> bool:
        return (self.worktree / os.fsdecode(name)).is_symlink() and self._same_as_the_persons(name)

    def _same_as_the_persons(self, name: bytes) -> bool:
        """Whether the person's own tree holds the same bytes: a copied ``.env`` stays out of git."""
        mine, theirs = self.worktree / os.fsdecode(name), self.repo.root / os.fsdecode(name)
        if mine.is_symlink():
            return mine.readlink() == theirs
        regular = mine.is_file() and not theirs.is_symlink() and theirs.is_file()
        return regular and filecmp.cmp(mine, theirs, shallow=False)

    def _walk(self, folder: Path, *, skip_rebuildable: bool = False) -> Iterator[Path]:
        def unreadable(exc: OSError) -> None:
            raise WorkAtRisk(f"{exc.filename} cannot be read: {exc.strerror}") from exc

        if skip_rebuildable and is_rebuildable(folder):
            self.found.rebuildable.append(shown(os.fsencode(folder.relative_to(self.worktree))))
            return
        for base, folders, files in os.walk(folder, onerror=unreadable):
            for name in sorted(folders):
                inner = Path(base, name)
                if inner.is_symlink():
                    yield inner
                    folders.remove(name)
                elif skip_rebuildable and is_rebuildable(inner):
                    self.found.rebuildable.append(shown(os.fsencode(inner.relative_to(self.worktree))))
                    folders.remove(name)
            yield from (Path(base, name) for name in sorted(files))

    def read_hidden(self) -> None:
        """Look at files that git was told to take for unchanged."""
        for record in run_git(self.worktree, "ls-files", "-v", "-s", "-z", timeout_s=CHECKOUT_S).records:
            flags, _, name = record.partition(b"\t")
            tag, mode, content, _ = flags.split(b" ")
            hidden = tag.islower() or tag == b"S"
            if hidden and mode != GITLINK and not self._is(name, content):
                self._add_hidden(name, (mode, content))

    def _add_hidden(self, name: bytes, staged: tuple[bytes, bytes]) -> None:
        if name in self.found.files or name in self.found.deleted:
            # git tells that what is staged differs from HEAD, not that the file differs from both.
            self.found.staged[name] = staged
        if is_there(self.worktree, name):
            self._add(name)

    def _is(self, name: bytes, content: bytes) -> bool:
        path = self.worktree / os.fsdecode(name)
        if not is_there(self.worktree, name) or not (path.is_symlink() or path.is_file()):
            return False
        data = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        how = hashlib.sha1 if len(content) == 40 else hashlib.sha256  # noqa: PLR2004 - the two object formats
        return how(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest().encode() == content

    def read_nested(self, admin: Path) -> None:
        """Take in whole repositories inside the tree, with their own history."""
        skipped = {self.worktree / name for name in self.found.rebuildable}
        nested = find_nested(self.worktree, skip=skipped.__contains__)
        roots, modules = to_save(nested, admin)
        for root in roots:
            for inner in self._walk(root):
                self._add(os.fsencode(inner.relative_to(self.worktree)), source=inner, bulk=True)
        if modules is not None:
            for inner in self._walk(modules):
                name = b".agentorchestr-modules/" + os.fsencode(inner.relative_to(modules))
                self._add(name, source=inner, bulk=True)


def is_rebuildable(folder: Path) -> bool:
    """Whether a package manager or a cache fills *folder* again: by its name, or by its mark."""
    if os.fsencode(folder.name) in REBUILDABLE:
        return True
    return any((folder / os.fsdecode(mark)).is_file() for mark in REBUILDABLE_IF_IT_HOLDS)
