"""Where an agent's private files lie, and what its set-up left for it."""

import json
from pathlib import Path

from agentorchestr.paths import ensure_private, write_private

SETUP_FILE = "setup.json"


def agent_folder(run_folder: Path, worker_id: str) -> Path:
    """The private folder of one agent: its configuration, token and launch file. Gone after a reboot."""
    return ensure_private(run_folder / "agents" / worker_id)


def kept_folder(session_folder: Path, worker_id: str) -> Path:
    """The private folder of what an agent needs again after a pause or a reboot. Holds no secret."""
    return ensure_private(session_folder / "agents" / worker_id)


def keep_setup(session_folder: Path, worker_id: str, environment: dict[str, str]) -> None:
    """Keep what the set-up of its worktree gave, such as its ports."""
    write_private(kept_folder(session_folder, worker_id) / SETUP_FILE, json.dumps(environment))


def setup_environment(session_folder: Path, worker_id: str) -> dict[str, str]:
    """Read it again; empty when there was no set-up."""
    try:
        content = json.loads((session_folder / "agents" / worker_id / SETUP_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in content.items()}
