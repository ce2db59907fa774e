"""What the repository says of itself, for the briefs: PROJECT.md and CONVENTIONS.md."""

import stat
from pathlib import Path

FILE_NAMES = ("PROJECT.md", "CONVENTIONS.md")
LIMIT_BYTES = 6_000
"""Per file: long prompts do not help a worker, and the file itself is in its worktree."""


def project_text(root: Path) -> str:
    """Join the project's own texts, each under its path; empty when there are none.

    ``.agentorchestr/NAME`` goes before ``NAME`` at the root. A file over the limit is cut at a line. A link
    that leads out of the repository is not read: a repository must not be able to put a person's private
    file into a prompt. The text says so wherever something was left out.
    """
    parts = []
    for name in FILE_NAMES:
        places = (root / ".agentorchestr" / name, root / name)
        found = next((place for place in places if place.exists() or place.is_symlink()), None)
        if found is not None:
            parts.append(_shown(found, root))
    return "\n\n".join(parts)


def _shown(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        inside = path.resolve(strict=True).is_relative_to(root.resolve())
        if not inside or not stat.S_ISREG(path.stat().st_mode):
            return f"{name}:\n[left out: it is no plain file of this repository]"
        content = path.read_bytes()
    except (OSError, RuntimeError) as exc:
        return f"{name}:\n[left out: it cannot be read, {type(exc).__name__}]"
    return f"{name}:\n{_within_limit(content, name)}"


def _within_limit(content: bytes, name: str) -> str:
    text = content[:LIMIT_BYTES].decode("utf-8", errors="replace").strip()
    if len(content) <= LIMIT_BYTES:
        return text
    kept = text.rpartition("\n")[0] or text
    return f"{kept}\n[cut: {len(content)} bytes, read {name} for the rest]"
