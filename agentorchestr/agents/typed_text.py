"""Make a text safe to type into an agent's composer as one line."""

import re
import unicodedata

from agentorchestr.agents.spec import AgentSpec

BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
# They change the order in which a person sees what was typed.
DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def sanitise(spec: AgentSpec, text: str) -> str:
    """*text* on one line, without anything that the agent takes for a command, a shell line or a file picker.

    Line ends and tabs become one space; other control characters go, and so do marks that turn the
    direction of writing. Everything else stays, since it may be part of a path. A text with nothing to
    show becomes the empty string: then there is nothing to type.
    """
    line = "".join(char for char in BREAKS.sub(" ", text) if not _harms(char)).strip()
    if not line:
        return ""
    if line[0] in spec.typing.guard_first:
        line = f"{spec.typing.guard_word} {line}"
    if re.search(spec.typing.guard_last, line):
        line += "."
    return line


def _harms(char: str) -> bool:
    return char in DIRECTIONS or unicodedata.category(char) in {"Cc", "Cs"}
