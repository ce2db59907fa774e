"""Placeholders in spec texts: ``{name}`` and ``{name|escape}``.

Only lower-case names in braces are placeholders, so JSON, TOML and shell text need no doubling of braces.
"""

import json
import re
import shlex
from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\{([a-z][a-z_]*)(?:\|(json|toml|shell|none))?\}")

ARGV_NAMES = frozenset(
    {
        "agent_dir",  # private folder that holds the files of the spec
        "brief",  # path of the brief
        "fresh",  # the session id we chose; empty when an older one is resumed
        "hook_command",  # our hook as one shell line
        "hook_words",  # our hook as the inside of a JSON list
        "hooks_json",  # the hooks table of the spec in Claude Code's shape
        "hooks_toml",  # the same as an inline TOML table
        "kept_dir",  # private folder of the agent that outlives a reboot
        "mcp_url",
        "model",  # empty unless the person chose one
        "prompt",  # the first line
        "repository",
        "resume",  # id of the agent's session to go on with; empty for a new one
        "role",  # lead or worker
        "worker_id",
        "worktree",
    }
)
FILE_NAMES = ARGV_NAMES | {"token"}
READY_MADE = frozenset({"hook_words", "hooks_json", "hooks_toml"})
"""These hold text that is escaped already."""


def placeholders(text: str) -> frozenset[str]:
    """The names of all placeholders in *text*."""
    return frozenset(match[1] for match in PLACEHOLDER.finditer(text))


def fill(text: str, values: Mapping[str, str], *, escape: str = "none") -> str:
    """Put *values* into *text*, each escaped for the inside of a quoted string of its format."""

    def one(match: re.Match[str]) -> str:
        name, own = match[1], match[2]
        how = own or ("none" if name in READY_MADE else escape)
        return escaped(values[name], how)

    return PLACEHOLDER.sub(one, text)


def escaped(value: str, how: str) -> str:
    """*value* for the inside of a double-quoted JSON or TOML string, or as one word of a shell line."""
    if how == "shell":
        return shlex.quote(value)
    if how == "none":
        return value
    # A TOML basic string takes JSON's escapes, but not a bare DEL.
    return json.dumps(value, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")


def fill_argv(
    words: tuple[str | tuple[str, ...], ...],
    values: Mapping[str, str],
) -> tuple[str, ...]:
    """Fill in a command line; an inner list is left out when one of its placeholders is empty."""
    filled: list[str] = []
    for word in words:
        group = (word,) if isinstance(word, str) else word
        if isinstance(word, str) or all(values[name] for part in group for name in placeholders(part)):
            filled.extend(fill(part, values) for part in group)
    return tuple(filled)
