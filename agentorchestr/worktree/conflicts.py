"""Conflicts of a computed merge, as file and hunk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentorchestr.model.verdict import Conflict
from agentorchestr.worktree.git import run_git, shown
from agentorchestr.worktree.repository import Repository

HUNK_BYTES = 4096
KIND = re.compile(rb"CONFLICT \(([^)]*)\)")
# By the stages that are left in the index: 1 the common ancestor, 2 ours, 3 theirs.
KIND_BY_STAGES = {
    (1, 2, 3): "content",
    (2, 3): "add/add",
    (1, 2): "modify/delete",
    (1, 3): "modify/delete",
}


@dataclass(frozen=True)
class IndexEntry:
    """One side of a conflict."""

    mode: str
    content: str
    stage: int
    name: bytes

    @classmethod
    def parse(cls, record: bytes) -> "IndexEntry":
        """Read ``<mode> <object> <stage>TAB<name>``, as ls-files and merge-tree write it."""
        fields, _, name = record.partition(b"\t")
        mode, content, stage = fields.decode().split(" ")
        return cls(mode, content, int(stage), name)


def read_conflicts(
    repo: Repository,
    tree: str,
    entries: Sequence[IndexEntry],
    messages: Sequence[tuple[tuple[bytes, ...], bytes]],
) -> tuple[Conflict, ...]:
    """Tell each file that could not be merged, with its hunks as *tree* holds them.

    *messages* are git's own words with the paths they are about; without them the kind is told by
    the stages. One message may concern a path that has no stage left, such as a moved folder.
    """
    stages: dict[bytes, list[IndexEntry]] = {}
    for entry in entries:
        stages.setdefault(entry.name, []).append(entry)
    told: dict[bytes, list[str]] = {}
    for paths, text in messages:
        kind = KIND.match(text)
        word = kind[1].decode() if kind else "binary" if b"Cannot merge binary" in text else ""
        for path in paths[:1] if word else ():
            told.setdefault(path, []).append(word)
    names = sorted(stages.keys() | told.keys())
    return tuple(_conflict(repo, tree, name, stages.get(name, []), told.get(name, [])) for name in names)


def _conflict(
    repo: Repository, tree: str, name: bytes, sides: Sequence[IndexEntry], told: Sequence[str]
) -> Conflict:
    kind = told[0] if told else KIND_BY_STAGES.get(tuple(sorted(side.stage for side in sides)), "other")
    if "binary" in told or any(_is_binary(repo, side) for side in sides):
        return Conflict(shown(name), "binary", "")
    merged = run_git(repo.root, "ls-tree", "-z", tree, "--", name.decode("utf-8", "surrogateescape"))
    if not merged.out or b" blob " not in merged.out:
        return Conflict(shown(name), kind, "")
    blob = merged.out.split(b" ", 2)[2].partition(b"\t")[0].decode()
    content = run_git(repo.root, "cat-file", "blob", blob).out
    return Conflict(shown(name), kind, _hunks(content) or _short(content))


def _is_binary(repo: Repository, side: IndexEntry) -> bool:
    if side.mode not in ("100644", "100755"):
        return False
    # git's own rule: a NUL byte near the beginning.
    return b"\0" in run_git(repo.root, "cat-file", "blob", side.content).out[:8000]


def _hunks(content: bytes) -> str:
    """What stands between conflict marks, the marks included, each hunk under its first line's number."""
    kept: list[bytes] = []
    inside = False
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.startswith(b"<<<<<<< "):
            inside = True
            kept.append(b"@@ line %d" % number)
        if inside:
            kept.append(line.rstrip(b"\r"))
        if line.startswith(b">>>>>>> "):
            inside = False
    return _short(b"\n".join(kept))


def _short(content: bytes) -> str:
    if len(content) <= HUNK_BYTES:
        return shown(content)
    note = b"\n[cut]"
    return shown(content[: HUNK_BYTES - len(note)].rpartition(b"\n")[0] + note)
