"""What was said so far, in words that are the same for every model API."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CALL_ID = re.compile(r"^call_\d+_(?P<tool>.+)_[0-9a-f]{6}$")
STEERED = "The user sent a new message while you were working"


@dataclass(frozen=True)
class Call:
    """A tool call in logical words: ``mcp:get_brief``, ``shell``, ``write_file``, or a name as offered."""

    tool: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """The tokens an answer is said to have cost; *cached* come on top of *fresh*."""

    fresh: int = 300
    cached: int = 3000
    output: int = 30


@dataclass(frozen=True)
class Fault:
    """Something wrong with an answer. *times* bounds it per conversation; 0 means for ever."""

    status: int = 0
    retry_after_s: float = 0.0
    delay_s: float = 0.0
    cut: bool = False
    """Break the connection off in the middle of the stream."""
    times: int = 1


@dataclass(frozen=True)
class Answer:
    """One answer of the model: text, tool calls, or both. No call: the turn ends."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    usage: Usage = Usage()
    fault: Fault | None = None


@dataclass(frozen=True)
class Message:
    """Something the person (or whoever types for them) said."""

    text: str


@dataclass(frozen=True)
class Answered:
    """An answer of ours that the client has in its history."""

    text: str
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class Result:
    """What came back for one call, by its logical name."""

    tool: str
    text: str

    def json(self) -> dict[str, object]:
        """The first JSON object in the text; empty when there is none."""
        start = self.text.find("{")
        if start < 0:
            return {}
        try:
            found, _ = json.JSONDecoder().raw_decode(self.text[start:])
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


Event = Message | Answered | Result


@dataclass(frozen=True)
class Offer:
    """A tool the client offers. *kind* is ``function``, ``custom`` (free text) or ``search``."""

    name: str
    namespace: str = ""
    kind: str = "function"

    @property
    def full_name(self) -> str:
        return f"{self.namespace}__{self.name}" if self.namespace else self.name


@dataclass(frozen=True)
class Conversation:
    """A request, read. ``key`` stays the same for the whole of one client session."""

    api: str
    key: str
    model: str
    events: tuple[Event, ...]
    offers: tuple[Offer, ...]
    notes: str = ""
    """System texts and reminders: what nobody said."""
    wants_json: bool = False

    @property
    def messages(self) -> tuple[str, ...]:
        """What the person said, oldest first."""
        return tuple(event.text for event in self.events if isinstance(event, Message))

    @property
    def results(self) -> tuple[Result, ...]:
        """All tool results, oldest first."""
        return tuple(event for event in self.events if isinstance(event, Result))

    @property
    def answers(self) -> int:
        """How many answers of ours the client has in its history."""
        return sum(isinstance(event, Answered) for event in self.events)

    @property
    def heard(self) -> str:
        """All messages and tool results in one text: what a principal is known by."""
        return "\n".join(event.text for event in self.events if not isinstance(event, Answered))

    @property
    def last(self) -> Event | None:
        """The newest event; a message that arrived together with a result comes after it."""
        return self.events[-1] if self.events else None

    @property
    def calls_made(self) -> int:
        return sum(len(event.calls) for event in self.events if isinstance(event, Answered))

    @property
    def working_directory(self) -> str:
        """Where the client says it works; empty when it does not say."""
        found = re.search(r"(?:working directory: |<cwd>)([^\n<]+)", self.notes)
        return found.group(1).strip() if found else ""

    def made(self, tool: str) -> tuple[Call, ...]:
        """All calls of one logical *tool* that the client has in its history, oldest first."""
        answers = (event for event in self.events if isinstance(event, Answered))
        return tuple(call for answer in answers for call in answer.calls if call.tool == tool)

    def of(self, tool: str) -> tuple[Result, ...]:
        """All results of one logical *tool*."""
        return tuple(result for result in self.results if result.tool == tool)

    def offers_tool(self, name: str) -> bool:
        """Whether a tool of this name is on offer, in any namespace or prefix, or spoken of in a note."""
        return any(
            offer.name == name or offer.full_name.endswith(f"_{name}") for offer in self.offers
        ) or bool(re.search(rf"\btools\.\w*{re.escape(name)}\b|\bmcp__\w+__{re.escape(name)}\b", self.notes))


def tool_of(call_id: str) -> str:
    """The logical tool a call id of ours was made for; the id itself when it is not ours."""
    found = CALL_ID.match(call_id)
    return found.group("tool").replace("-", ":", 1) if found else call_id


def call_of(call_id: str, arguments: object) -> Call:
    """The call a client has in its history; *arguments* as an object, as JSON, or inside a script of ours."""
    if isinstance(arguments, str):
        written = re.search(r"\{.*\}(?=\);)", arguments) if arguments.startswith("//") else None
        try:
            arguments = json.loads(written.group() if written else arguments)
        except ValueError:
            arguments = {}
    return Call(tool_of(call_id), arguments if isinstance(arguments, dict) else {})


def flat_text(content: object) -> str:
    """The text in a content field, whatever its nesting."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(flat_text(part) for part in content)
    if isinstance(content, dict):
        return flat_text(content.get("text") or content.get("content") or content.get("output") or "")
    return ""
