"""Between a2a-hub's JSON values and the texts that tasks, results and letters are on the bus."""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from agentorchestr.hub.frames import Order, as_json
from agentorchestr.model.mail import AgentCard, DelegatedTask, Letter

MESSAGE = "message"
"""The parameter that a plain text is, and the field of a broadcast."""
JSON_TYPE = "application/json"
LEVELS = 200
"""How deep the values of a client's frames may be: the limit of what reads them."""


@dataclass(frozen=True)
class Call:
    """A task as a client of the hub knows it."""

    capability: str
    params: dict[str, Any] = field(default_factory=dict)
    priority: int = 0


def task_text(order: Order, card: AgentCard | None) -> str:
    """The text of a task for the agent of *card*, or, when None, for any agent with the capability.

    What the agent knows anyway is not said: a lone ``message`` is the text itself. Raises ``HubFault``.
    """
    is_known = not order.capability or card is None or [s.name for s in card.skills] == [order.capability]
    text = order.params.get(MESSAGE)
    is_plain = isinstance(text, str) and len(order.params) == 1 and not isinstance(parsed(text), dict)
    # What has "params" of its own would be read back as the long form.
    if is_known and not order.priority and "params" not in order.params:
        return str(text) if is_plain else as_json(order.params)
    called = {"capability": order.capability, "params": order.params, "priority": order.priority}
    return as_json(called)


def call_of(task: DelegatedTask, capabilities: tuple[str, ...]) -> Call:
    """What a task asks of an agent with *capabilities*; the other direction of ``task_text``.

    A text that is no JSON object becomes the parameter ``message``.
    """
    value = parsed(task.text)
    known = task.capability or (capabilities[0] if len(capabilities) == 1 else "")
    if not isinstance(value, dict):
        return Call(known, {MESSAGE: task.text})
    params = value.get("params")
    if isinstance(params, dict) and value.keys() <= {"capability", "params", "priority"}:
        return Call(str(value.get("capability") or known), params, priority_of(value))
    return Call(known, value)


def priority_of(value: object) -> int:
    """The priority that a task's JSON names; 0 for none."""
    found = value.get("priority", 0) if isinstance(value, dict) else 0
    return found if isinstance(found, int) else 0


def result_text(result: object) -> str:
    """A result as text: words stay as they are, unless they would be read back as something else.

    Raises ``HubFault``.
    """
    if isinstance(result, str) and isinstance(parsed(result), _NoJson):
        return result
    return as_json(result)


def result_of(text: str) -> object:
    """The other direction of ``result_text``."""
    value = parsed(text)
    return text if isinstance(value, _NoJson) else value


def letter_words(payload: dict[str, Any]) -> tuple[str, str]:
    """The body and content type of a broadcast with *payload*. Raises ``HubFault``."""
    text = payload.get(MESSAGE)
    if isinstance(text, str) and len(payload) == 1:
        return text, "text/plain"
    return as_json(payload), JSON_TYPE


def payload_of(letter: Letter) -> dict[str, Any]:
    """The other direction of ``letter_words``."""
    value = parsed(letter.body) if letter.content_type == JSON_TYPE else None
    return value if isinstance(value, dict) else {MESSAGE: letter.body}


class _NoJson:
    """Stands for a text that is no JSON."""


def parsed(text: str) -> object:
    """The value a text is in JSON; a ``_NoJson`` when it is none, or one that no frame can hold."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NoJson()
    return value if _fits(value, LEVELS) else _NoJson()


def _fits(value: object, levels: int) -> bool:
    """Whether *value* can be written again: finite numbers, and not deeper than a client's own frames."""
    if isinstance(value, float):
        return math.isfinite(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not inner or (levels > 0 and all(_fits(one, levels - 1) for one in inner))


def _refuse(word: str) -> None:
    raise ValueError(word)
