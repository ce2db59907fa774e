"""Facts as JSON and back, by their dataclass fields."""

import dataclasses
import json
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any

from agentorchestr.errors import JournalError
from agentorchestr.model import facts
from agentorchestr.model.facts import Fact

KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in typing.get_args(Fact)}


def storable(text: str) -> str:
    """*text* as UTF-8 can hold it: halves of a character are joined, a lone half becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def encode(fact: Fact) -> tuple[str, str]:
    """The fact's kind and its fields as compact JSON, which is storable whatever the fact's texts hold."""
    body = json.dumps(dataclasses.asdict(fact), ensure_ascii=False, separators=(",", ":"))
    return type(fact).__name__, storable(body)


def decode(kind: str, body: str) -> Fact:
    """Rebuild a fact. Unknown fields (of a newer version) are left out; missing ones take their default.

    Raises ``JournalError`` for an unknown kind or a body that does not fit it.
    """
    known = KINDS.get(kind)
    if known is None:
        raise JournalError(f"the journal holds a fact of unknown kind {kind}", hint="update agentorchestr")
    try:
        return typing.cast("Fact", _build(known, json.loads(body)))
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise JournalError(f"the journal holds a broken {kind}: {exc}") from exc


def _build(shape: Any, raw: Any) -> Any:
    """*raw* (from JSON) as a value of the annotated type *shape*."""
    if dataclasses.is_dataclass(shape) and isinstance(shape, type):
        hints = _hints(shape)
        return shape(**{name: _build(hint, raw[name]) for name, hint in hints.items() if name in raw})
    origin = typing.get_origin(shape)
    if origin is tuple:
        (inner, *_) = typing.get_args(shape)
        return tuple(_build(inner, item) for item in raw)
    if origin in {types.UnionType, typing.Union}:
        return None if raw is None else _build(typing.get_args(shape)[0], raw)
    if isinstance(shape, type) and issubclass(shape, StrEnum):
        return shape(raw)
    return raw


@cache
def _hints(shape: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(shape, vars(facts))
