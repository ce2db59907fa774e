"""What the repository says of itself, for the briefs: PROJECT.md and CONVENTIONS.md."""

import stat
from pathlib import Path

FILE_NAMES = ("PROJECT.md", "CONVENTIONS.md")
LIMIT_BYTES = 6_000
"""Per file: long prompts do not help a worker, and the file itself is in its worktree."""


def project_text(root: Path) -> str:
    """Join the project's own texts, each under its path; empty when there are none.

    ``.agentorchestr/NAME`` goes before ``NAME`` at the root. A file over the limit is cut at a line, and the
    text says so. A link that leads out of the repository is left out: a repository must not be able to
    put a person's private file into a prompt.
    """
    parts = []
    for name in FILE_NAMES:
        for place in (root / ".agentorchestr" / name, root / name):
            content = _read_inside(place, root)
            if content is not None:
                parts.append(_shown(place.relative_to(root).as_posix(), content))
                break
    return "\n\n".join(parts)


def _read_inside(path: Path, root: Path) -> bytes | None:
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(root.resolve()) or not stat.S_ISREG(real.stat().st_mode):
            return None
        return real.read_bytes()
    except (OSError, RuntimeError):
        return None


def _shown(name: str, content: bytes) -> str:
    text = content[:LIMIT_BYTES].decode("utf-8", errors="replace").strip()
    if len(content) <= LIMIT_BYTES:
        return f"{name}:\n{text}"
    kept = text.rpartition("\n")[0] or text
    return f"{name}:\n{kept}\n[cut: {len(content)} bytes, read {name} for the rest]"
