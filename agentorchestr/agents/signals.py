"""Read what an agent tells by itself: hook payloads, status files, rollouts."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.agents.environment import expand
from agentorchestr.agents.spec import AgentSpec, Hooks
from agentorchestr.agents.transcripts import tail_entries
from agentorchestr.model.states import AgentEventKind
from agentorchestr.process import start_time

DETAIL_CHARS = 2000
CLOCK_SLACK_S = 2.0
"""The kernel tells a start time in ticks since boot; against the wall clock it is off by a little."""
CLAUDE_STATUS = {
    "busy": AgentEventKind.ACTIVE,
    "idle": AgentEventKind.TURN_ENDED,
    "shell": AgentEventKind.TURN_ENDED,
    "waiting": AgentEventKind.ASKS,
}
# What tells most, per event, in the words of the agents that have such hooks.
DETAILS: dict[AgentEventKind, tuple[str, ...]] = {
    AgentEventKind.STARTED: ("source",),
    AgentEventKind.PROMPT_TAKEN: ("prompt",),
    AgentEventKind.ACTIVE: ("tool_name",),
    AgentEventKind.ASKS: ("message", "tool_name", "notification_type"),
    AgentEventKind.TURN_ENDED: ("last_assistant_message", "prompt_response"),
    AgentEventKind.TURN_FAILED: ("error", "error_details", "last_assistant_message"),
    AgentEventKind.LIMITED: ("error", "error_details", "last_assistant_message"),
    AgentEventKind.ENDED: ("reason",),
}


@dataclass(frozen=True)
class AgentSignal:
    """What an agent was seen to do. *detail* is its own text: data, cut to 2000 characters."""

    kind: AgentEventKind
    detail: str
    agent_session: str = ""
    transcript: str = ""
    background: bool = False
    """The turn ended, but something of it goes on in the background."""


def read_hook(spec: AgentSpec, payload: Mapping[str, object]) -> AgentSignal | None:
    """What one hook payload says; None for events that mean nothing to us."""
    hooks = spec.hooks
    event = _text(payload, "hook_event_name")
    if hooks is None or event not in hooks.events or _skipped(hooks, event, payload):
        return None
    kind = hooks.events[event]
    detail = ": ".join(text for key in DETAILS[kind] if (text := _text(payload, key)))
    if kind is AgentEventKind.TURN_FAILED and re.search(hooks.limited, detail):
        kind = AgentEventKind.LIMITED
    return AgentSignal(
        kind=kind,
        detail=detail[:DETAIL_CHARS],
        agent_session=_text(payload, "session_id"),
        transcript=_text(payload, "transcript_path"),
        background=bool(payload.get("background_tasks")),
    )


def _skipped(hooks: Hooks, event: str, payload: Mapping[str, object]) -> bool:
    return any(rule.event == event and _text(payload, rule.field) in rule.values for rule in hooks.skip)


def read_status_file(spec: AgentSpec, pid: int, env: Mapping[str, str]) -> AgentSignal | None:
    """What the agent's status file says of *pid*; None when there is none, or it is of an ended process.

    The file stays behind when the agent is killed, still saying "busy".
    """
    if spec.status_file != "claude":
        return None
    folder = expand("$CLAUDE_CONFIG_DIR|~/.claude", env)
    try:
        status = json.loads((folder / "sessions" / f"{pid}.json").read_bytes()) if folder else None
    except (OSError, ValueError):
        return None
    if not isinstance(status, dict) or not _is_of(status, pid):
        return None
    kind = CLAUDE_STATUS.get(_text(status, "status"))
    if kind is None:
        return None
    return AgentSignal(
        kind=kind,
        detail=_text(status, "waitingFor"),
        agent_session=_text(status, "sessionId"),
        background=status.get("status") == "shell",
    )


def _is_of(status: Mapping[str, object], pid: int) -> bool:
    """Whether *status* was written by the process that has this pid now."""
    started, written = start_time(pid), status.get("startedAt")
    if started is None or status.get("pid") != pid:
        return False
    return not isinstance(written, int | float) or started <= written / 1000 + CLOCK_SLACK_S


def read_rollout(spec: AgentSpec, transcript: Path) -> AgentSignal | None:
    """What the newest turn in a Codex rollout came to; None when its tail does not tell.

    A failed turn is told nowhere else: no hook fires on an API error.
    """
    if spec.transcript is None or spec.transcript.format != "codex":
        return None
    for entry in reversed(tail_entries(transcript)):
        payload = entry.get("payload")
        if entry.get("type") == "event_msg" and isinstance(payload, dict):
            signal = _codex_event(spec, payload)
            if signal is not None:
                return signal
    return None


def _codex_event(spec: AgentSpec, payload: Mapping[str, object]) -> AgentSignal | None:
    kind = _text(payload, "type")
    if kind == "task_started":
        return AgentSignal(AgentEventKind.ACTIVE, "")
    if kind == "turn_aborted":
        return AgentSignal(AgentEventKind.TURN_ENDED, _text(payload, "reason"))
    if kind != "task_complete":
        return None
    problem = payload.get("error")
    if not problem:
        return AgentSignal(AgentEventKind.TURN_ENDED, _text(payload, "last_agent_message")[:DETAIL_CHARS])
    words = _text(problem, "message") if isinstance(problem, dict) else str(problem)
    limited = spec.hooks is not None and re.search(spec.hooks.limited, json.dumps(problem))
    return AgentSignal(
        AgentEventKind.LIMITED if limited else AgentEventKind.TURN_FAILED, words[:DETAIL_CHARS]
    )


def _text(payload: Mapping[str, object], key: str) -> str:
    value = payload.get(key)
    return value if isinstance(value, str) else ""
