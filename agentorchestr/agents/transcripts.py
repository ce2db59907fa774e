"""Find an agent's transcript, prove whose it is, and read its lines without holding it in memory."""

import glob
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentorchestr.agents.environment import expand
from agentorchestr.agents.spec import AgentSpec

TAIL_BYTES = 256 * 1024
HEAD_ENTRIES = 200
"""Session and directory are told near the beginning, after a few lines about other things."""


def find_transcript(
    spec: AgentSpec, *, agent_session: str, env: Mapping[str, str], kept_dir: Path | None = None
) -> Path | None:
    """The newest transcript of *agent_session*; None when there is none yet, or the spec names no place.

    *kept_dir* is where it lies when the spec names no folder of the agent's own.
    """
    if spec.transcript is None or not spec.transcript.glob or not agent_session:
        return None
    folder = expand(spec.transcript.folder, env) if spec.transcript.folder else kept_dir
    if folder is None or not folder.is_dir():
        return None
    session = glob.escape(agent_session)
    pattern = spec.transcript.glob.replace("{session_head}", glob.escape(agent_session[:8]))
    found = list(folder.glob(pattern.replace("{session}", session)))
    return max(found, key=_written, default=None)


def is_conversation_of(spec: AgentSpec, transcript: Path, *, agent_session: str, cwd: Path) -> bool:
    """Whether *transcript* itself says that it is *agent_session*'s, held in *cwd*.

    Both have to be in it: a file with the right name may be a copy, and an id may have been told by somebody
    else. A conversation of another directory is another agent's. Sources: Claude Code writes ``sessionId``
    and ``cwd`` into its lines, Codex both into the first one's ``payload``.
    """
    sessions: list[str] = []
    folders: list[str] = []
    for entry in itertools.islice(entries(transcript), HEAD_ENTRIES):
        told = entry.get("payload") if entry.get("type") == "session_meta" else entry
        if isinstance(told, dict):
            name = "id" if told is not entry else "sessionId"
            sessions += [str(told[name])] if name in told else []
            folders += [str(told["cwd"])] if "cwd" in told else []
    if not sessions or not folders or spec.transcript is None:
        return False
    # An agent may change its directory later on; it was started in its worktree.
    return set(sessions) == {agent_session} and os.path.realpath(folders[0]) == os.path.realpath(cwd)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def entries(path: Path, *, holding: str = "") -> Iterator[dict[str, object]]:
    """The objects of a JSON-lines file, in order; only lines with the text *holding* are parsed.

    A line that is half written or not an object is left out; a file that is gone has no lines.
    """
    wanted = holding.encode()
    try:
        with path.open("rb") as lines:
            for line in lines:
                if wanted in line and (entry := _parse(line)) is not None:
                    yield entry
    except OSError:
        return


def tail_entries(path: Path) -> list[dict[str, object]]:
    """The objects in the last part of a JSON-lines file, in order."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return []
    whole = lines if size <= TAIL_BYTES else lines[1:]
    return [entry for line in whole if (entry := _parse(line)) is not None]


def _parse(line: bytes) -> dict[str, object] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
