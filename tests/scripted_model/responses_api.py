"""OpenAI Responses, as Codex speaks it: flat functions, namespaces, custom tools, tools in the input."""

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
from tests.scripted_model.tools import WireCall, to_wire

SseEvent = tuple[str, dict[str, object]]
CALLS = ("function_call", "custom_tool_call")
RESULTS = ("function_call_output", "custom_tool_call_output")


def read(body: Mapping[str, object], headers: Mapping[str, str]) -> Conversation:
    """Read a request of ``POST /v1/responses``."""
    items = _dicts(body.get("input"))
    if isinstance(body.get("input"), str):
        items = [{"type": "message", "role": "user", "content": body["input"]}]
    notes = [str(body.get("instructions") or "")]
    offers = _offers(body.get("tools"))
    events: list[Event] = []
    for item in items:
        if item.get("type") == "additional_tools":
            offers += _offers(item.get("tools"))
            notes.append(json.dumps(item.get("tools")))
        else:
            _read_item(item, events, notes)
    return Conversation(
        api="responses",
        key=headers.get("session-id", "") or str(body.get("prompt_cache_key", "")),
        model=str(body.get("model", "")),
        events=tuple(events),
        offers=tuple(offers),
        notes="\n".join(notes),
        wants_json="json_schema" in json.dumps(body.get("text", "")),
    )


def whole(answer: Answer, conversation: Conversation) -> dict[str, object]:
    """The answer as one JSON object."""
    return _response(conversation) | {
        "status": "completed",
        "output": _items(answer, conversation),
        "usage": _usage(answer),
    }


def stream(answer: Answer, conversation: Conversation) -> Iterator[SseEvent]:
    """The answer as the events of a stream."""
    head = _response(conversation)
    yield _event("response.created", {"response": head | {"status": "in_progress", "output": []}})
    items = _items(answer, conversation)
    for index, item in enumerate(items):
        opened = item | ({"content": []} if item["type"] == "message" else {})
        yield _event("response.output_item.added", {"output_index": index, "item": opened})
        if item["type"] == "message":
            delta = {"output_index": index, "content_index": 0, "item_id": item["id"], "delta": answer.text}
            yield _event("response.output_text.delta", delta)
        yield _event("response.output_item.done", {"output_index": index, "item": item})
    done = head | {"status": "completed", "output": items, "usage": _usage(answer)}
    yield _event("response.completed", {"response": done})


def error(status: int) -> dict[str, object]:
    """The body of an error with this *status*."""
    kinds = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
    code = kinds.get(status, "server_error")
    return {"error": {"type": code, "code": code, "message": f"scripted {code}", "param": None}}


def _offers(tools: object, namespace: str = "") -> list[Offer]:
    found: list[Offer] = []
    for tool in _dicts(tools):
        kind, name = str(tool.get("type", "")), str(tool.get("name", ""))
        if kind == "namespace":
            found += _offers(tool.get("tools"), name)
        elif kind in ("function", "custom"):
            found.append(Offer(name, namespace, kind))
        elif kind == "tool_search":
            found.append(Offer("tool_search", namespace, "search"))
    return found


def _read_item(item: Mapping[str, object], events: list[Event], notes: list[str]) -> None:
    kind = item.get("type", "message")
    if kind in CALLS:
        _add_answer(
            events, "", call_of(str(item.get("call_id", "")), item.get("arguments") or item.get("input"))
        )
    elif kind in RESULTS:
        events.append(Result(tool_of(str(item.get("call_id", ""))), flat_text(item.get("output"))))
    elif kind == "message" and item.get("role") == "assistant":
        _add_answer(events, flat_text(item.get("content")))
    elif kind == "message" and item.get("role") == "user":
        text = flat_text(item.get("content"))
        # Codex sends what it knows of the surroundings in the person's name, in a tag.
        if text.lstrip().startswith(("<environment_context>", "<user_instructions>", "# AGENTS.md")):
            notes.append(text)
        else:
            events.append(Message(text))
    elif kind == "message":
        notes.append(flat_text(item.get("content")))


def _add_answer(events: list[Event], text: str, *calls: Call) -> None:
    # One answer of ours comes back as several items in a row.
    before = events.pop() if events and isinstance(events[-1], Answered) else Answered("", ())
    assert isinstance(before, Answered)
    events.append(Answered(f"{before.text}{text}", before.calls + calls))


def _items(answer: Answer, conversation: Conversation) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        items.append(_item("msg", {"type": "message", "role": "assistant", "content": [part]}))
    first = conversation.calls_made
    for number, call in enumerate(answer.calls):
        items.append(_call_item(to_wire(call, conversation, number=first + number)))
    return items


def _call_item(wire: WireCall) -> dict[str, object]:
    named: dict[str, object] = {"call_id": wire.call_id, "name": wire.name}
    if wire.namespace:
        named["namespace"] = wire.namespace
    if wire.free_text:
        return _item("ctc", {"type": "custom_tool_call", "input": wire.free_text} | named)
    arguments = json.dumps(wire.arguments or {})
    return _item("fc", {"type": "function_call", "arguments": arguments} | named)


def _item(prefix: str, rest: dict[str, object]) -> dict[str, object]:
    return {"id": f"{prefix}_{secrets.token_hex(12)}", "status": "completed"} | rest


def _response(conversation: Conversation) -> dict[str, object]:
    return {"id": f"resp_{secrets.token_hex(12)}", "object": "response", "model": conversation.model}


def _usage(answer: Answer) -> dict[str, object]:
    # OpenAI counts the cached part into the input.
    read_in = answer.usage.fresh + answer.usage.cached
    return {
        "input_tokens": read_in,
        "input_tokens_details": {"cached_tokens": answer.usage.cached},
        "output_tokens": answer.usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read_in + answer.usage.output,
    }


def _event(kind: str, rest: dict[str, object]) -> SseEvent:
    return kind, {"type": kind} | rest


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
