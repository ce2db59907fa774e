"""Read an agent's screen: a second opinion, never the only one."""

import re
from collections.abc import Sequence
from enum import StrEnum

from agentorchestr.agents.spec import AgentSpec

SGR = re.compile(r"\x1b\[([\d;:]*)m")
OTHER_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|.)")


class ScreenState(StrEnum):
    """What a settled screen shows."""

    READY = "ready"
    BUSY = "busy"
    ASKS = "asks"
    FAILED = "failed"
    LIMITED = "limited"
    UNKNOWN = "unknown"


def classify(spec: AgentSpec, screen: Sequence[str]) -> ScreenState:
    """Name the state that *screen* shows: what tmux rendered, top line first, without escapes.

    Only the last ``tail_lines`` lines that are not empty count. Where several rules match, the one that
    forbids more wins: a question before a running turn, a running turn before an old failure above it,
    and ready only when nothing else matches.
    """
    rules = spec.screens
    lines = [line.rstrip() for line in screen if line.strip()][-rules.tail_lines :]
    for state, patterns in (
        (ScreenState.ASKS, rules.asks),
        (ScreenState.BUSY, rules.busy),
        (ScreenState.LIMITED, rules.limited),
        (ScreenState.FAILED, rules.failed),
        (ScreenState.READY, rules.ready),
    ):
        if any(re.search(pattern, line) for pattern in patterns for line in lines):
            return state
    return ScreenState.UNKNOWN


def composer_text(spec: AgentSpec, screen_with_colours: Sequence[str]) -> str | None:
    """What a person has typed into the composer and not sent: empty for nothing, None when not to be told.

    Lines carry their escapes: a placeholder looks like typed text but for its dim colour.
    """
    rules = spec.screens
    if not rules.composer:
        return None
    lines = [(_visible(line, dim=True), _visible(line, dim=False)) for line in screen_with_colours]
    starts = [at for at, (shown, _) in enumerate(lines) if re.search(rules.composer, shown)]
    if not starts:
        return None
    typed: list[str] = []
    for at in range(starts[-1], len(lines)):
        shown, bright = lines[at]
        if at > starts[-1] and rules.composer_ends and re.search(rules.composer_ends, shown):
            break
        typed.append(re.sub(rules.composer, "", bright) if at == starts[-1] else bright)
    return "\n".join(line.strip() for line in typed).strip()


def _visible(line: str, *, dim: bool) -> str:
    """*line* without escapes; without its dim text too unless *dim*."""
    shown: list[str] = []
    faint = False
    rest = line
    while rest:
        sgr = SGR.match(rest)
        if sgr:
            faint = _faint_after(sgr[1], was=faint)
            rest = rest[sgr.end() :]
        elif other := OTHER_ESCAPE.match(rest):
            rest = rest[other.end() :]
        else:
            if dim or not faint:
                shown.append(rest[0])
            rest = rest[1:]
    return "".join(shown)


def _faint_after(parameters: str, *, was: bool) -> bool:
    faint = was
    numbers = iter(parameters.replace(":", ";").split(";"))
    for number in numbers:
        if number in {"", "0", "22"}:
            faint = False
        elif number == "2":
            faint = True
        elif number in {"38", "48", "58"}:
            # The numbers of a colour follow: five of 256 colours, or red, green and blue.
            for _ in range(1 if next(numbers, "") == "5" else 3):
                next(numbers, "")
    return faint
