"""Read the commands out of the Verify section of a project's notes."""

import re
from collections.abc import Iterator, Sequence

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_TITLES = re.compile(r"^(?:verify|verification|checks?)\b", re.IGNORECASE)
_FENCE = re.compile(r"^\s{0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(.*\S)\s*$")
_CODE = re.compile(r"`+([^`]+)`+")
# A list item without code marks is a command when it starts like one and does not end like a sentence.
_PLAIN_COMMAND = re.compile(r"^[a-z0-9_./-]+(?:\s.*)?[^.:;!?]$")


def commands_in_notes(text: str) -> tuple[str, ...]:
    """Give the shell lines of the section headed Verify, Verification or Checks, in their order.

    They stand in fenced blocks (one per line, ``$`` prompts and comments left out, continued lines
    joined) or, without any block, as list items.
    """
    section = list(_section(_COMMENT.sub("", text).splitlines()))
    return tuple(_fenced(section)) or tuple(_listed(section))


def _section(lines: Sequence[str]) -> Iterator[str]:
    depth, fence = 0, ""
    for line in lines:
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark.group(1)
        elif mark and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            fence = ""
        heading = None if fence else _HEADING.match(line)
        if heading and (depth == 0 or len(heading.group(1)) <= depth):
            depth = len(heading.group(1)) if _TITLES.match(heading.group(2)) else 0
        elif depth:
            yield line


def _fenced(section: Sequence[str]) -> Iterator[str]:
    fence, joined = "", ""
    for line in section:
        mark = _FENCE.match(line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark.group(1)
        elif fence:
            joined += line.strip()
            if joined.endswith("\\"):
                joined = joined[:-1]
                continue
            command = joined.removeprefix("$ ").strip()
            if command and not command.startswith("#"):
                yield command
            joined = ""


def _listed(section: Sequence[str]) -> Iterator[str]:
    for line in section:
        if item := _ITEM.match(line):
            text = item.group(1)
            if code := _CODE.search(text):
                yield code.group(1).strip()
            elif _PLAIN_COMMAND.match(text):
                yield text
