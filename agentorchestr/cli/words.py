"""Read the words of the command line that click has no word for: options with several values."""

from collections.abc import Collection, Sequence

AGENTS = "--agents"


def spread_agents(args: Sequence[str], *, with_value: Collection[str]) -> list[str]:
    """Turn ``--agents claude codex --lead x`` into ``--agents claude --agents codex --lead x``.

    The values end at the next word that begins with a dash. *with_value* are the options that take the
    next word whatever it is, so a goal that reads ``--agents`` stays a goal. ``--`` ends all options.
    """
    spread: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == AGENTS:
            values = _take_values(rest)
            spread += [part for value in values for part in (AGENTS, value)] or [AGENTS]
        elif word == "--" or not word.startswith("-"):
            return [*spread, word, *rest]
        else:
            spread.append(word)
            if word in with_value and rest:
                spread.append(rest.pop(0))
    return spread


def _take_values(rest: list[str]) -> list[str]:
    values = []
    while rest and not rest[0].startswith("-"):
        values.append(rest.pop(0))
    return values


def split_names(values: Sequence[str]) -> tuple[str, ...]:
    """Give the names in ``claude``, ``codex,gemini`` …, each once, in order."""
    names = [name.strip() for value in values for name in value.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))
