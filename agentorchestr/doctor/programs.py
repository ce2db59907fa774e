"""Look at the programs we need: which are there, in which version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from agentorchestr.errors import OrchestrError
from agentorchestr.process import run

PROBE_LIMIT_S = 5.0
_VERSION_WORDS = {"tmux": ("-V",), "git": ("--version",), "mosquitto": ("-h",)}
# Distributions put the broker where only root looks.
_EXTRA_FOLDERS = {"mosquitto": ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")}
_NUMBER = re.compile(r"(\d+)\.(\d+)\S*")
KEYS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
    "DEEPSEEK_API_KEY",
    "MISTRAL_API_KEY",
    "GROQ_API_KEY",
    "XAI_API_KEY",
    "CURSOR_API_KEY",
    "AMP_API_KEY",
    "GH_TOKEN",
    "GITHUB_TOKEN",
)


@dataclass(frozen=True)
class Program:
    """One program. ``path`` and ``version`` are empty when it is not there or does not tell."""

    name: str
    path: str
    version: str
    problem: str = ""

    @property
    def number(self) -> tuple[int, int]:
        """Major and minor version, (0, 0) when not known."""
        found = _NUMBER.search(self.version)
        return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def probe_program(name: str, *, env: Mapping[str, str]) -> Program:
    """Find *name* on the PATH of *env* and ask for its version."""
    path = which(name, path=env.get("PATH"))
    if path is None:
        extra = (f"{folder}/{name}" for folder in _EXTRA_FOLDERS.get(name, ()))
        path = next((found for found in extra if Path(found).is_file()), None)
    if path is None:
        return Program(name, "", "", problem="not installed")
    try:
        asked = run((path, *_VERSION_WORDS[name]), timeout_s=PROBE_LIMIT_S, env=env, merge_stderr=True)
    except OrchestrError as exc:
        return Program(name, path, "", problem=str(exc))
    found = _NUMBER.search(asked.text)
    return Program(name, path, found.group(0) if found else "", "" if found else "does not tell its version")


def keys_set(env: Mapping[str, str]) -> tuple[str, ...]:
    """Give the names of the key variables that are set; never a value."""
    return tuple(name for name in KEYS if env.get(name))
