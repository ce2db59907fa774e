"""The command line of the practice agent, and the two small files it names."""

import argparse
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import UsageError

SCENARIO_VARIABLE = "AGENTORCHESTR_PRACTICE_SCENARIO"
PACE_VARIABLE = "AGENTORCHESTR_PRACTICE_PACE"
SERVER = "agentorchestr"


@dataclass(frozen=True)
class Endpoint:
    """Where our MCP server listens and what to send along."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Options:
    """What one start of the practice agent was asked for."""

    name: str
    session: str
    resumed: bool
    prompt: str
    one_shot: bool
    endpoint: Endpoint | None
    hook_argv: tuple[str, ...]
    scenario: Path
    pace: float
    """Factor on every pause that is there for people to watch; 0 in tests."""
    transcript: Path


def parse(argv: Sequence[str], env: Mapping[str, str]) -> Options:
    """Read the command line. Raises ``UsageError`` for values that cannot be."""
    words = _parser().parse_args(_joined(argv))
    session = words.resume or words.session or str(uuid.uuid4())
    folder = Path(words.transcripts) if words.transcripts else _transcript_folder(words.mcp_config, env)
    transcript = folder / f"practice-{_one_file_name(session)}.jsonl"
    if words.resume and not transcript.is_file():
        raise UsageError(
            f"no practice session {session} to resume in {transcript.parent}",
            hint="start a new one with --session",
        )
    return Options(
        name=words.name,
        session=session,
        resumed=bool(words.resume),
        prompt=words.one_shot if words.one_shot is not None else words.prompt,
        one_shot=words.one_shot is not None,
        endpoint=read_endpoint(Path(words.mcp_config)) if words.mcp_config else None,
        hook_argv=read_hook_argv(Path(words.hook_config)) if words.hook_config else (),
        scenario=Path(env.get(SCENARIO_VARIABLE) or shipped_scenario()),
        pace=_pace(env.get(PACE_VARIABLE, "")),
        transcript=transcript,
    )


def shipped_scenario() -> Path:
    """The scenario of ``agentorchestr demo``."""
    return Path(__file__).parent / "scenarios" / "demo.toml"


def read_endpoint(path: Path) -> Endpoint:
    """The MCP server named in *path*, a file of the shape Claude Code reads.

    Raises ``UsageError`` when the file has another shape.
    """
    try:
        server = _read_object(path)["mcpServers"][SERVER]
        return Endpoint(str(server["url"]), {str(k): str(v) for k, v in server.get("headers", {}).items()})
    except (KeyError, TypeError, AttributeError) as exc:
        raise UsageError(f"{path} names no MCP server {SERVER!r} with a url") from exc


def read_hook_argv(path: Path) -> tuple[str, ...]:
    """The hook command in *path*: ``{"command": ["program", …]}``. Raises ``UsageError``."""
    command = _read_object(path).get("command")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise UsageError(f'{path} must hold {{"command": ["program", …]}}')
    return tuple(command)


def _read_object(path: Path) -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise UsageError(f"{path} is not JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise UsageError(f"{path} must hold a JSON object")
    return found


def _transcript_folder(mcp_config: str, env: Mapping[str, str]) -> Path:
    if mcp_config:
        return Path(mcp_config).absolute().parent
    state = env.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path(env.get("HOME") or Path.home()) / ".local" / "state"
    return base / "agentorchestr" / "practice"


def _one_file_name(session: str) -> str:
    if os.sep in session or session.startswith(".") or "\0" in session:
        raise UsageError(f"{session!r} is no session id")
    return session


def _joined(argv: Sequence[str]) -> list[str]:
    """*argv* with the text of ``-p`` attached to it: a text that begins with a dash is no option."""
    words = list(argv)
    for at in range(len(words) - 1):
        if words[at] == "-p" and words[at + 1]:
            return [*words[:at], words[at] + words[at + 1], *words[at + 2 :]]
    return words


def _pace(text: str) -> float:
    try:
        pace = float(text or "1")
    except ValueError:
        pace = -1.0
    if not 0 <= pace <= 100:  # noqa: PLR2004 -- a bound against a typo, said in the message
        raise UsageError(f"{PACE_VARIABLE} must be a number from 0 to 100, not {text!r}")
    return pace


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="agentorchestr.practice",
        description="An agent that needs no model: it follows a scenario file.",
    )
    parser.add_argument("--name", default="practice", help="how it calls itself")
    parser.add_argument("--mcp-config", default="", metavar="FILE", help="JSON with the MCP server to use")
    parser.add_argument("--hook-config", default="", metavar="FILE", help="JSON with the command for events")
    parser.add_argument("--transcripts", default="", metavar="DIR", help="where its transcript lies")
    parser.add_argument("--session", default="", metavar="UUID", help="the id of a new session")
    parser.add_argument("--resume", default="", metavar="UUID", help="go on with an earlier session")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="the first prompt; else it is typed")
    parser.add_argument("-p", dest="one_shot", metavar="TEXT", help="one turn with plain lines, then end")
    return parser
