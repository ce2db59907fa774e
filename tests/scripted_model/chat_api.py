"""OpenAI Chat Completions, as most other agents speak it."""

import json
import secrets
from collections.abc import Iterator, Mapping

from tests.scripted_model.conversation import (
    Answer,
    Answered,
    Call,
    Conversation,
    Event,
    Message,
    Offer,
    Result,
    call_of,
    flat_text,
    tool_of,
)
from tests.scripted_model.responses_api import error
from tests.scripted_model.tools import to_wire

__all__ = ["error", "read", "stream", "whole"]

SseEvent = tuple[str, dict[str, object]]


def read(body: Mapping[str, object], headers: Mapping[str, str]) -> Conversation:
    """Read a request of ``POST /v1/chat/completions``. The API has no session: the first message names it."""
    events: list[Event] = []
    notes: list[str] = []
    for message in _dicts(body.get("messages")):
        _read_message(message, events, notes)
    functions = [tool.get("function") for tool in _dicts(body.get("tools"))]
    first = next((event.text for event in events if isinstance(event, Message)), "")
    return Conversation(
        api="chat",
        key=headers.get("x-session-id", "") or first[:200],
        model=str(body.get("model", "")),
        events=tuple(events),
        offers=tuple(Offer(str(function["name"])) for function in functions if isinstance(function, dict)),
        notes="\n".join(notes),
        wants_json="json_" in json.dumps(body.get("response_format", "")),
    )


def whole(answer: Answer, conversation: Conversation) -> dict[str, object]:
    """The answer as one JSON object."""
    message = {"role": "assistant", "content": answer.text or None}
    calls = _calls(answer, conversation)
    choice = {"index": 0, "message": message | ({"tool_calls": calls} if calls else {})}
    return _head(conversation, "chat.completion") | {
        "choices": [choice | {"finish_reason": _finish(answer)}],
        "usage": _usage(answer),
    }


def stream(answer: Answer, conversation: Conversation) -> Iterator[SseEvent]:
    """The answer as chunks; the server adds ``[DONE]``. Every stream tells its usage."""
    head = _head(conversation, "chat.completion.chunk")

    def chunk(delta: dict[str, object], finish: str | None = None) -> SseEvent:
        return "", head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    if answer.text:
        yield chunk({"content": answer.text})
    for index, made in enumerate(_calls(answer, conversation)):
        yield chunk({"tool_calls": [{"index": index} | made]})
    yield chunk({}, _finish(answer))
    yield "", head | {"choices": [], "usage": _usage(answer)}


def _read_message(message: Mapping[str, object], events: list[Event], notes: list[str]) -> None:
    text, role = flat_text(message.get("content")), message.get("role")
    if role == "user":
        events.append(Message(text))
    elif role == "assistant":
        made = _dicts(message.get("tool_calls"))
        events.append(Answered(text, tuple(_call(call) for call in made)))
    elif role == "tool":
        events.append(Result(tool_of(str(message.get("tool_call_id", ""))), text))
    else:
        notes.append(text)


def _call(made: Mapping[str, object]) -> Call:
    function = made.get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    return call_of(str(made.get("id", "")), arguments)


def _calls(answer: Answer, conversation: Conversation) -> list[dict[str, object]]:
    first = conversation.calls_made
    wired = [to_wire(call, conversation, number=first + n) for n, call in enumerate(answer.calls)]
    return [
        {
            "id": wire.call_id,
            "type": "function",
            "function": {"name": wire.name, "arguments": json.dumps(wire.arguments or {})},
        }
        for wire in wired
    ]


def _head(conversation: Conversation, kind: str) -> dict[str, object]:
    name = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": name, "object": kind, "created": 0, "model": conversation.model}


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.calls else "stop"


def _usage(answer: Answer) -> dict[str, object]:
    read_in = answer.usage.fresh + answer.usage.cached
    return {
        "prompt_tokens": read_in,
        "prompt_tokens_details": {"cached_tokens": answer.usage.cached},
        "completion_tokens": answer.usage.output,
        "total_tokens": read_in + answer.usage.output,
    }


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
