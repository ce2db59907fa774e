"""Make a text safe to type into an agent's composer as one line."""

import re
import unicodedata

from agentorchestr.agents.spec import AgentSpec


def sanitise(spec: AgentSpec, text: str) -> str:
    """*text* on one line, without anything that the agent takes for a command, a shell line or a file picker.

    Line ends and tabs become single spaces, other control characters go. A text with nothing to show
    becomes the empty string: then there is nothing to type.
    """
    spaced = re.sub(r"\s+", " ", text)
    line = "".join(char for char in spaced if unicodedata.category(char) not in {"Cc", "Cf", "Cs"}).strip()
    if not line:
        return ""
    if line[0] in spec.typing.guard_first:
        line = f"{spec.typing.guard_word} {line}"
    if re.search(spec.typing.guard_last, line):
        line += "."
    return line
