"""Read a settings file of a person or a repository; every fault names the file and the line."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from agentorchestr.errors import UsageError

FILE_LIMIT_BYTES = 256 * 1024

Settings = TypeVar("Settings", bound=BaseModel)


def read_text_inside(root: Path, name: str) -> str | None:
    """Give the text of the file *name* below *root*; None when there is none.

    Raises ``UsageError`` for a link that leads out of *root*, and whatever ``read_text`` raises.
    """
    path = root / name
    if path.exists() and not path.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{path} leads out of {root}", hint="put a plain file in its place")
    return read_text(path)


def read_text(path: Path) -> str | None:
    """Give the text of the file *path*; None when there is none.

    Raises ``UsageError`` for something that is no plain file, for more than ``FILE_LIMIT_BYTES``, and
    for text that is not UTF-8.
    """
    if not path.exists():
        return None
    if not path.is_file():
        raise UsageError(f"{path} is not a plain file", hint="put a plain file in its place")
    raw = path.read_bytes()
    if len(raw) > FILE_LIMIT_BYTES:
        raise UsageError(f"{path} is larger than {FILE_LIMIT_BYTES // 1024} KiB", hint="make it shorter")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = raw[: exc.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: not UTF-8", hint="save the file as UTF-8") from exc


def parse_settings(text: str, kind: type[Settings], *, path: Path) -> Settings:
    """Read TOML *text* as *kind*.

    Raises ``UsageError`` that names file, line and key.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise UsageError(_broken_toml(text, str(exc), path), hint="correct that line") from exc
    try:
        return kind.model_validate(table)
    except ValidationError as exc:
        first = exc.errors()[0]
        keys = [str(part) for part in first["loc"] if isinstance(part, str)]
        problem = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            problem = "this key is not known here"
        line = line_of_key(text, keys)
        raise UsageError(
            f"{path}, line {line}, key {'.'.join(keys) or '(top)'}: {problem}",
            hint="correct or remove that key; the keys are listed in docs/cli.md",
        ) from exc


def _broken_toml(text: str, problem: str, path: Path) -> str:
    place = re.search(r"\(at line (\d+)", problem)
    number = int(place.group(1)) if place else max(1, text.count("\n"))
    lines = text.splitlines()
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    key = line.partition("=")[0].strip() or "(top)"
    return f"{path}, line {number}, key {key}: {problem.partition(' (at ')[0]}"


def line_of_key(text: str, keys: Sequence[str]) -> int:
    """Tell the line on which the last of *keys* (tables first) stands, 1 when it is not found."""
    found, wanted = 1, list(keys)
    for number, line in enumerate(text.splitlines(), start=1):
        while wanted and re.match(
            rf"\s*\[?\s*(?:[\w.-]+\.)?[\"']?{re.escape(wanted[0])}[\"']?\s*[\]=.]", line
        ):
            wanted.pop(0)
            found = number
        if not wanted:
            break
    return found
