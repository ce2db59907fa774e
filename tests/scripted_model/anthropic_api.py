"""Anthropic Messages, as Claude Code speaks it."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping

from tests.scripted_model.conversation import (
    STEERED,
    Answer,
    Answered,
    Conversation,
    Event,
    Message,
    Offer,
    Result,
    call_of,
    flat_text,
    tool_of,
)
from tests.scripted_model.tools import WireCall, to_wire

SseEvent = tuple[str, dict[str, object]]


def read(body: Mapping[str, object], headers: Mapping[str, str]) -> Conversation:
    """Read a request of ``POST /v1/messages``."""
    events: list[Event] = []
    notes = [flat_text(body.get("system"))]
    for message in _dicts(body.get("messages")):
        if message.get("role") == "assistant":
            events.append(_answered(message))
        elif message.get("role") == "system":
            notes.append(flat_text(message.get("content")))
        else:
            _read_user(message.get("content"), events, notes)
    return Conversation(
        api="anthropic",
        key=headers.get("x-claude-code-session-id", ""),
        model=str(body.get("model", "")),
        events=tuple(events),
        offers=tuple(Offer(str(tool["name"])) for tool in _dicts(body.get("tools")) if "name" in tool),
        notes="\n".join(notes),
        wants_json="json_schema" in json.dumps(body.get("output_config", "")),
    )


def whole(answer: Answer, conversation: Conversation) -> dict[str, object]:
    """The answer as one JSON object."""
    blocks: list[dict[str, object]] = [{"type": "text", "text": answer.text}] if answer.text else []
    blocks.extend(_tool_use(wire) | {"input": wire.arguments or {}} for wire in _wired(answer, conversation))
    return _head(conversation) | {
        "content": blocks,
        "stop_reason": "tool_use" if answer.calls else "end_turn",
        "usage": _usage(answer, output=answer.usage.output),
    }


def stream(answer: Answer, conversation: Conversation) -> Iterator[SseEvent]:
    """The answer as the events of a stream."""
    start = _head(conversation) | {"content": [], "stop_reason": None, "usage": _usage(answer, output=1)}
    yield "message_start", {"type": "message_start", "message": start}
    index = 0
    if answer.text:
        yield from _block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": answer.text})
        index += 1
    for wire in _wired(answer, conversation):
        delta = {"type": "input_json_delta", "partial_json": json.dumps(wire.arguments or {})}
        yield from _block(index, _tool_use(wire) | {"input": {}}, delta)
        index += 1
    stop = "tool_use" if answer.calls else "end_turn"
    yield (
        "message_delta",
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": answer.usage.output},
        },
    )
    yield "message_stop", {"type": "message_stop"}


def error(status: int) -> dict[str, object]:
    """The body of an error with this *status*."""
    kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
    kind = kinds.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": f"scripted {kind}"}}


def _answered(message: Mapping[str, object]) -> Answered:
    content = message.get("content")
    if isinstance(content, str):
        return Answered(content, ())
    blocks = _dicts(content)
    text = "\n".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    used = (block for block in blocks if block.get("type") == "tool_use")
    return Answered(text, tuple(call_of(str(use.get("id", "")), use.get("input")) for use in used))


def _read_user(content: object, events: list[Event], notes: list[str]) -> None:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    messages: list[Event] = []
    for block in _dicts(content):
        text = flat_text(block.get("content") if block.get("type") == "tool_result" else block.get("text"))
        if block.get("type") == "tool_result":
            events.append(Result(tool_of(str(block.get("tool_use_id", ""))), text))
            # A message sent in mid-turn comes inside the tool result.
            messages.extend(Message(found) for found in _reminders(text) if STEERED in found)
        elif block.get("type") == "text":
            notes.extend(_reminders(text))
            said = re.sub(r"<system-reminder>.*?</system-reminder>", "", text, flags=re.DOTALL).strip()
            if said or STEERED in text:
                messages.append(Message(said or text))
    events.extend(messages)


def _reminders(text: str) -> list[str]:
    return re.findall(r"<system-reminder>(.*?)</system-reminder>", text, flags=re.DOTALL)


def _wired(answer: Answer, conversation: Conversation) -> list[WireCall]:
    first = conversation.calls_made
    return [to_wire(call, conversation, number=first + n) for n, call in enumerate(answer.calls)]


def _tool_use(wire: WireCall) -> dict[str, object]:
    return {"type": "tool_use", "id": wire.call_id, "name": wire.name}


def _block(index: int, empty: Mapping[str, object], delta: Mapping[str, object]) -> Iterator[SseEvent]:
    start = {"type": "content_block_start", "index": index, "content_block": empty}
    yield "content_block_start", start
    yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
    yield "content_block_stop", {"type": "content_block_stop", "index": index}


def _head(conversation: Conversation) -> dict[str, object]:
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": conversation.model,
        "stop_sequence": None,
    }


def _usage(answer: Answer, *, output: int) -> dict[str, object]:
    return {
        "input_tokens": answer.usage.fresh,
        "cache_read_input_tokens": answer.usage.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": output,
    }


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
