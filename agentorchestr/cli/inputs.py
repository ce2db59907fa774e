"""Check what was typed: each fault is one clear line, with a hint what to type next."""

import os
import re
from pathlib import Path

from agentorchestr.cli.text import clean, shorten
from agentorchestr.errors import UsageError

GOAL_LIMIT_BYTES = 256 * 1024
WORKERS_LIMIT = 32
_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")
LONGEST_S = 1e9
"""Thirty years: a longer duration is a slip, and what is reckoned with it may overflow."""
_AGE = re.compile(r"(\d{1,6})([dhm])")
AGE_UNITS = {"d": 86_400, "h": 3600, "m": 60}


def check_goal(goal: str, *, origin: str) -> str:
    """Give *goal* unchanged, once it is known to be text that can be handed on whole.

    Raises ``UsageError`` when it is empty, over ``GOAL_LIMIT_BYTES`` in UTF-8, or not text at all.
    """
    try:
        size = len(goal.encode("utf-8"))
    except UnicodeEncodeError as exc:
        raise UsageError(
            f"{origin} is not UTF-8 (at character {exc.start + 1})",
            hint="save it as a UTF-8 file: agentorchestr --goal-file FILE",
        ) from exc
    if not goal.strip():
        raise UsageError(f"{origin} is empty", hint='say what to do: agentorchestr --goal "Add …"')
    if size > GOAL_LIMIT_BYTES:
        raise UsageError(
            f"{origin} has {size:,} bytes; at most {GOAL_LIMIT_BYTES:,} (256 KiB) fit",
            hint="put the detail into a file of the repository and name that file in the goal",
        )
    if "\0" in goal:
        raise UsageError(f"{origin} holds a NUL byte, so it is no text", hint="give a text file")
    return goal


def read_goal_file(name: str, *, cwd: Path) -> str:
    """Give the text of the goal file *name*.

    Raises ``UsageError`` when it is missing, a directory, unreadable, too long or not UTF-8.
    """
    path = cwd / name
    hint = "give a UTF-8 text file: agentorchestr --goal-file goal.md"
    if path.is_dir():
        raise UsageError(f"the goal file is a directory: {name}", hint=hint)
    try:
        with path.open("rb") as file:
            raw = file.read(GOAL_LIMIT_BYTES + 1)
    except FileNotFoundError as exc:
        raise UsageError(f"the goal file does not exist: {name}", hint=hint) from exc
    except OSError as exc:
        raise UsageError(f"the goal file cannot be read: {name}: {exc.strerror}", hint=hint) from exc
    if len(raw) > GOAL_LIMIT_BYTES:
        raise UsageError(
            f"the goal file {name} has more than {GOAL_LIMIT_BYTES:,} bytes (256 KiB)",
            hint="put the detail into a file of the repository and name that file in the goal",
        )
    try:
        goal = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise UsageError(f"the goal file {name} is not UTF-8 (at byte {exc.start + 1})", hint=hint) from exc
    return check_goal(goal, origin=f"the goal file {name}")


def find_project(name: str, *, cwd: Path) -> Path:
    """Give the absolute path of the project directory; *cwd* when *name* is empty.

    Raises ``UsageError`` when it is missing, no directory, or cannot be entered.
    """
    path = Path(os.path.abspath(cwd / name))  # noqa: PTH100  # keeps links: the person's own name for it
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise UsageError(
            f"the project's path is not UTF-8: {clean(path)}",
            hint="reach it by another name: ln -s the-directory /a/utf-8/name",
        ) from exc
    if not path.exists():
        raise UsageError(
            f"the project directory does not exist: {path}",
            hint="give an existing directory: agentorchestr --project DIR …",
        )
    if not path.is_dir():
        raise UsageError(f"the project is not a directory: {path}", hint="give its directory with --project")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(
            f"the project directory cannot be read: {path}", hint="check its permissions: ls -ld"
        )
    return path


def read_duration(text: str) -> float:
    """Give the seconds in ``2h``, ``30m``, ``90s`` or ``1h30m``; 0 for an empty text: no limit.

    Raises ``UsageError`` for anything else, a bare number, a zero and more than thirty years included.
    """
    if not text:
        return 0.0
    found = _DURATION.fullmatch(text.strip().lower()) if text.strip().isascii() else None
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 < total < LONGEST_S:
        raise UsageError(
            f"not a duration: {shorten(clean(text), 40) or '(blank)'}",
            hint="write it with units: --timeout 2h, 30m, 90s or 1h30m",
        )
    return float(total)


def check_workers(number: int) -> int:
    """Give the number of workers, from 1 to ``WORKERS_LIMIT``.

    Raises ``UsageError`` outside of that.
    """
    if not 1 <= number <= WORKERS_LIMIT:
        raise UsageError(
            f"--max-workers {number} is out of range", hint=f"give a number from 1 to {WORKERS_LIMIT}"
        )
    return number


def read_age(text: str, *, option: str) -> float:
    """Give the seconds in ``14d``, ``12h`` or ``0d``.

    Raises ``UsageError`` for anything else.
    """
    found = _AGE.fullmatch(text.strip().lower()) if text.isascii() else None
    if found is None:
        raise UsageError(
            f"not an age: {shorten(clean(text), 40) or '(blank)'}",
            hint=f"write it with a unit: {option} 14d, 12h or 0d",
        )
    return float(found[1]) * AGE_UNITS[found[2]]
