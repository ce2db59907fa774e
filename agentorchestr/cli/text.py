"""Make text from goals, agents and repositories safe to show: it is data, never terminal commands."""

import re

MINUTE_S = 60
HOUR_S = 3600
KILO = 1000
FEW = 10

# CSI, OSC, DCS and the like (each with its end), then any two-byte escape.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# Control characters, line and paragraph separators, and what turns the direction of writing around.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


def clean(text: object) -> str:
    """Give *text* as one line without escapes and control characters; bytes that are not UTF-8 are marked."""
    decodable = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROLS.sub(" ", _SEQUENCES.sub("", decodable)).strip()


def clean_lines(text: object) -> list[str]:
    """Give *text* line by line, each one cleaned, without empty lines at its end."""
    lines = [clean(line) for line in str(text).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def clean_block(text: str) -> list[str]:
    """Give *text* line by line with its indents; what would steer a terminal is left out."""
    decodable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return [_CONTROLS.sub(" ", _SEQUENCES.sub("", line.expandtabs())) for line in decodable.split("\n")]


def shorten(text: str, limit: int) -> str:
    """Cut a cleaned line to *limit* characters, with a mark that says so."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def took(seconds: float) -> str:
    """Say a span of time as a person would: ``3.1s``, ``2m 05s``, ``1h 02m``."""
    if round(seconds) < MINUTE_S:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), MINUTE_S)
    if seconds < HOUR_S:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def count(number: int, thing: str) -> str:
    """Say how many things there are: ``1 file``, ``2 files``."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def size(number: int) -> str:
    """Say a number of bytes: ``512 B``, ``1.5 kB``, ``20 MB``."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < KILO or unit == "GB":
            break
        amount /= KILO
    return f"{amount:.0f} {unit}" if amount >= FEW or unit == "B" else f"{amount:.1f} {unit}"
