"""Cut what is too long for a model's window, and say so: nothing is left out in silence."""

from collections.abc import Sequence


def start_of(text: str, limit: int) -> str:
    """The first *limit* characters of *text*, with a mark behind them when there are more."""
    left = len(text) - limit
    return text if left <= 0 else f"{text[:limit]} [cut: {left} more characters]"


def end_of(text: str, limit: int) -> str:
    """The last *limit* characters of *text*, with a mark before them when there are more."""
    left = len(text) - limit
    return text if left <= 0 else f"[cut: {left} more characters before this] {text[-limit:]}"


def some(names: Sequence[str], limit: int) -> list[str]:
    """The first *limit* of *names*, then a mark when there are more."""
    left = len(names) - limit
    return list(names) if left <= 0 else [*names[:limit], f"[cut: {left} more]"]
