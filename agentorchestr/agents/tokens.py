"""Count an agent's tokens from its own transcript."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from agentorchestr.agents.spec import AgentSpec
from agentorchestr.agents.transcripts import entries
from agentorchestr.model.view import Tokens


def count_tokens(spec: AgentSpec, transcript: Path) -> Tokens:
    """Totals of the session in *transcript*; ``known`` is False when its format says nothing of tokens.

    ``input`` is what was not read from a cache, for every agent.
    """
    if spec.transcript is None or not transcript.is_file():
        return Tokens()
    if spec.transcript.format == "claude":
        return _claude(transcript)
    if spec.transcript.format == "codex":
        return _codex(transcript)
    return Tokens()


def _claude(transcript: Path) -> Tokens:
    # One line per content block, all with the message's usage: each message counts once, by its last line.
    usages: dict[str, Mapping[str, object]] = {}
    for file in (transcript, *sorted((transcript.with_suffix("") / "subagents").glob("*.jsonl"))):
        for entry in entries(file, holding='"usage"'):
            message = entry.get("message")
            if entry.get("type") == "assistant" and isinstance(message, dict):
                usage = message.get("usage")
                if isinstance(usage, dict):
                    usages[f"{file.name}:{message.get('id')}"] = usage
    return Tokens(
        input=_sum(usages.values(), "input_tokens") + _sum(usages.values(), "cache_creation_input_tokens"),
        output=_sum(usages.values(), "output_tokens"),
        cached=_sum(usages.values(), "cache_read_input_tokens"),
        known=bool(usages),
    )


def _codex(transcript: Path) -> Tokens:
    total: Mapping[str, object] | None = None
    for entry in entries(transcript, holding='"token_count"'):
        found = _codex_total(entry)
        total = total if found is None else found
    if total is None:
        return Tokens()
    cached = _number(total, "cached_input_tokens")
    # Its input includes the cached part.
    fresh = max(0, _number(total, "input_tokens") - cached)
    return Tokens(input=fresh, output=_number(total, "output_tokens"), cached=cached, known=True)


def _codex_total(entry: Mapping[str, object]) -> Mapping[str, object] | None:
    payload = entry.get("payload")
    info = payload.get("info") if isinstance(payload, dict) else None
    total = info.get("total_token_usage") if isinstance(info, dict) else None
    return total if isinstance(total, dict) else None


def _sum(usages: Iterable[Mapping[str, object]], key: str) -> int:
    return sum(_number(usage, key) for usage in usages)


def _number(usage: Mapping[str, object], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) else 0
