"""Understand what the agent is told: the file a prompt points to, the goal in it, the worker's brief."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)+)"')
_HEADING = re.compile(r"^#+ *(?:the |your )?(?:goal|task)\b[^\n]*\n\s*", re.IGNORECASE | re.MULTILINE)
_FENCED = re.compile(r"(`{3,})[^\n]*\n(.*?)\n\1", re.DOTALL)
_BEGUN = re.compile(r"^## (?:You were cut off|Somebody began this before you)$", re.MULTILINE)
GOAL_CHARS = 2000


def named_file(prompt: str) -> Path | None:
    """The existing file that *prompt* names in double quotes, as it stands or JSON-escaped."""
    for quoted in _QUOTED.findall(prompt):
        for name in (quoted, _unescaped(quoted)):
            path = Path(name)
            if name.startswith("/") and "\0" not in name and path.is_file():
                return path
    return None


def read_named(prompt: str) -> str:
    """The text of the file *prompt* points to, or the prompt itself."""
    path = named_file(prompt)
    return path.read_text(encoding="utf-8", errors="replace") if path else prompt


def goal_in(brief: str) -> str:
    """The goal or task in the text of a brief: what stands fenced under its heading, else all of it."""
    heading = _HEADING.search(brief)
    if heading is None:
        return brief.strip()[:GOAL_CHARS]
    rest = brief[heading.end() :]
    fenced = _FENCED.match(rest)
    return (fenced.group(2) if fenced else rest.split("\n#", 1)[0]).strip()[:GOAL_CHARS]


def begun_before(brief: str) -> bool:
    """Whether *brief* holds a hand-over: its reader goes on with what is there."""
    return _BEGUN.search(brief) is not None


def names_of(brief: Mapping[str, Any], *, default_name: str) -> dict[str, str]:
    """The words in braces a scenario may use, from a worker's brief."""
    branch = str(brief.get("branch") or "")
    integration = str(brief.get("integration_branch") or brief.get("integration") or "")
    if not integration and "/" in branch:
        integration = f"{branch.rpartition('/')[0]}/integration"
    return {
        "worker_id": str(brief.get("worker_id") or default_name),
        "task": str(brief.get("task") or ""),
        "branch": branch,
        "integration": integration,
    }


def slug(text: str) -> str:
    """A short file name made of *text*."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "task"


def _unescaped(quoted: str) -> str:
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        return quoted
