"""The format of an agent spec: one TOML file that says everything about one agent program.

Text in ``launch``, ``files`` and ``env`` is a template; see ``templates`` for the placeholders.
"""

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from agentorchestr.agents.asking import SPEC_BYTES, LoginProbe, Regex, VersionProbe
from agentorchestr.agents.templates import ARGV_NAMES, FILE_NAMES, placeholders
from agentorchestr.errors import AgentSpecInvalid
from agentorchestr.model.states import AgentEventKind


class PromptBy(StrEnum):
    """How an agent gets its first line."""

    ARGV = "argv"
    TYPED = "typed"


class Role(StrEnum):
    """What an agent can be in a session."""

    LEAD = "lead"
    WORKER = "worker"


def _known_argv(word: str) -> str:
    return _known(word, ARGV_NAMES, "a command line")


def _known_file(text: str) -> str:
    return _known(text, FILE_NAMES, "a file or variable")


def _known(text: str, names: frozenset[str], where: str) -> str:
    if unknown := sorted(placeholders(text) - names):
        raise ValueError(f"no such placeholder in {where}: {', '.join(unknown)}")
    return text


# The token is not among these names: whoever can list processes can read every command line.
Word = Annotated[str, AfterValidator(_known_argv)]
Text = Annotated[str, AfterValidator(_known_file)]
Argv = tuple[Word | tuple[Word, ...], ...]
"""Words; an inner list is left out when one of its placeholders is empty."""


class Part(BaseModel):
    """A table of a spec file: frozen, and strict about keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LaunchLines(Part):
    """The command lines, without the program itself."""

    argv: Argv
    one_shot: Argv = ()
    """Without a terminal UI; empty: the agent cannot."""


class FileTemplate(Part):
    """A file for the agent, written with mode 0600 into its private folder."""

    path: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
    text: Text
    escape: Literal["json", "toml", "shell", "none"] = "json"


class McpClient(Part):
    """How the agent's model sees the tools of our MCP server."""

    tool_name: str
    """With ``{tool}`` for the tool's own name."""

    @model_validator(mode="after")
    def _has_place(self) -> "McpClient":
        if "{tool}" not in self.tool_name:
            raise ValueError("tool_name needs {tool}")
        return self


class SkipRule(Part):
    """A hook event that means nothing when *field* has one of *values*."""

    event: str
    field: str
    values: tuple[str, ...]


class Hooks(Part):
    """The agent's own hooks, and what each of them means to us."""

    events: dict[str, AgentEventKind]
    skip: tuple[SkipRule, ...] = ()
    limited: Regex = r"(?i)rate_?limit|usage limit|quota|billing|insufficient"
    """A failed turn whose error matches this is a limit of the account."""
    timeout: int = 10
    """In the agent's own unit."""
    matcher: str = ""


class Typing(Part):
    """How to type a line into the agent's composer."""

    method: Literal["keys", "paste"] = "paste"
    piece_chars: int = Field(default=400, ge=1, le=2000)
    pause_s: float = 0.03
    enter_pause_s: float = 0.5
    enter_at_once: bool = False
    """Enter may follow typed text in the same moment: then a person has no gap to type in."""
    guard_first: str = "/!#@"
    """A text that begins with one of these gets ``guard_word`` before it."""
    guard_word: str = "Message:"
    guard_last: Regex = r"(\\|(^|\s)@\S*)$"
    """A text that ends like this gets a full stop."""


class Queue(Part):
    """A command of the agent's own that hands a line to its running session without a keystroke.

    Slower than typing, so it is for when a person's draft stands in the composer.
    """

    argv: tuple[str, ...]
    """The words after the program, with ``{session}`` and ``{line}``."""

    @model_validator(mode="after")
    def _has_places(self) -> "Queue":
        if any(not any(place in word for word in self.argv) for place in ("{session}", "{line}")):
            raise ValueError("queue: argv needs {session} and {line}")
        return self


class Transcript(Part):
    """Where the agent keeps a session's transcript, and whose format it is."""

    folder: str = ""
    """``~`` and ``$VARIABLE`` are expanded; ``$A|b`` means b when A is not set. Empty: what ``{kept_dir}`` is
    in a command line; without ``glob`` only hooks tell."""
    glob: str = ""
    """Below ``folder``, with ``{session}``, or ``{session_head}`` for its first eight characters."""
    format: Literal["claude", "codex", "none"] = "none"


class Screens(Part):
    """Regular expressions, matched against the last lines of a screen."""

    tail_lines: int = Field(default=40, ge=5, le=400)
    asks: tuple[Regex, ...] = ()
    busy: tuple[Regex, ...] = ()
    limited: tuple[Regex, ...] = ()
    failed: tuple[Regex, ...] = ()
    ready: tuple[Regex, ...] = ()
    composer: Regex = ""
    """Matches the start of the composer's first line, up to what a person types."""
    composer_ends: Regex = ""
    """Matches the first line below the composer."""


class AgentSpec(Part):
    """One agent program, as data."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    title: str
    proven: bool = False
    """A test of ours runs the real program with this spec."""
    builtin: bool = False
    """Ships with us: runs on our own Python, always there, never needs a log-in."""
    roles: frozenset[Role]
    binaries: tuple[str, ...] = ()
    """Names looked up on PATH; the first that is there counts."""
    install: str = ""
    prompt_by: PromptBy
    wait_limit_s: float = Field(default=25.0, gt=0, le=3600)
    """How long one tool call may wait before this agent gives up on it or moves it away."""
    memory_mb: int = Field(default=500, gt=0, le=1_000_000)
    """What one takes with what it starts, about: a worker starts only where that is free."""
    version: VersionProbe = VersionProbe()
    login: LoginProbe = LoginProbe()
    launch: LaunchLines
    files: tuple[FileTemplate, ...] = ()
    env: dict[str, Text] = Field(default_factory=dict)
    """Variables for the agent; an empty value after filling in removes the variable."""
    unset: tuple[str, ...] = ()
    mcp: McpClient | None = None
    hooks: Hooks | None = None
    typing: Typing = Typing()
    queue: Queue | None = None
    transcript: Transcript | None = None
    status_file: Literal["", "claude"] = ""
    trust: Literal["", "claude"] = ""
    screens: Screens = Screens()
    quirks: tuple[Literal["claude_root", "codex_native", "codex_login"], ...] = ()

    def tool_name(self, tool: str) -> str:
        """How the agent's model calls our *tool*: an MCP tool, or a command without MCP."""
        if self.mcp is None:
            return f"agentorchestr worker {tool.replace('_', '-')}"
        return self.mcp.tool_name.replace("{tool}", tool)

    @model_validator(mode="after")
    def _whole(self) -> "AgentSpec":
        if not self.builtin and not self.binaries:
            raise ValueError("binaries: name at least one program")
        if Role.LEAD in self.roles and self.mcp is None:
            raise ValueError("roles: a lead needs an mcp table")
        return self


def load_spec_file(path: Path) -> AgentSpec:
    """Read one spec file.

    Raises ``AgentSpecInvalid`` with the file, the key and the reason.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise _invalid(path, "the file", exc.strerror or str(exc)) from exc
    if len(raw) > SPEC_BYTES:
        raise _invalid(path, "the file", f"larger than {SPEC_BYTES // 1024} KiB")
    try:
        spec = AgentSpec.model_validate(tomllib.loads(raw.decode()))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise _invalid(path, "the file", f"not TOML: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(step) for step in first["loc"]) or "the file"
        raise _invalid(path, key, first["msg"].removeprefix("Value error, ")) from exc
    if spec.name != path.stem:
        raise _invalid(path, "name", f"must be the file's name: {path.stem}")
    return spec


def _invalid(path: Path, key: str, reason: str) -> AgentSpecInvalid:
    return AgentSpecInvalid(
        f"agent spec {path}: {key}: {reason}",
        hint="the format is described in docs/agents.md",
    )
