"""Where the real agents are, and what a person's home looks like who uses them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

CLAUDE_MODEL = "claude-sonnet-5"
CODEX_MODEL = "gpt-5.4"
"""A name Codex does not know: it then offers the classic tools, and no dialog about a newer model."""
CODEX_CODE_MODEL = "gpt-6.1-sol"
"""A model of the kind Codex chooses by itself: it works in code mode."""


def folder() -> Path:
    """The folder that ``scripts/install-real-agents`` fills."""
    named = os.environ.get("AGENTORCHESTR_REAL_AGENTS", "")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(cache) / "agentorchestr" / "real-agents"


def bin_dir() -> Path:
    return folder() / "node_modules" / ".bin"


def is_installed() -> bool:
    return all((bin_dir() / name).exists() for name in ("claude", "codex"))


def at_home(env: Mapping[str, str], *, model_url: str) -> dict[str, str]:
    """Make the HOME in *env* that of a person who has both agents set up, with *model_url* as the vendor.

    Nothing in it trusts any directory and nothing skips a dialog that a person's own home would show.
    """
    home = Path(env["HOME"])
    (home / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True, "numStartups": 5}))
    codex_home = home / ".codex"
    codex_home.mkdir()
    (codex_home / "config.toml").write_text(CODEX_CONFIG.format(url=model_url))
    (codex_home / "auth.json").write_text(json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": "scripted"}))
    # Codex warns when its home lies in the temporary directory.
    (home / "tmp").mkdir()
    return {
        **env,
        "PATH": f"{bin_dir()}{os.pathsep}{env['PATH']}",
        "TMPDIR": str(home / "tmp"),
        "CODEX_HOME": str(codex_home),
        "ANTHROPIC_BASE_URL": model_url,
        "ANTHROPIC_AUTH_TOKEN": "scripted",
        "ANTHROPIC_MODEL": CLAUDE_MODEL,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
        "DISABLE_AUTOUPDATER": "1",
        # Root may only then skip Claude Code's questions.
        "IS_SANDBOX": "1",
        "GIT_AUTHOR_NAME": "A Person",
        "GIT_AUTHOR_EMAIL": "person@example.invalid",
        "GIT_COMMITTER_NAME": "A Person",
        "GIT_COMMITTER_EMAIL": "person@example.invalid",
    }


def choose_codex_model(env: Mapping[str, str], model: str) -> None:
    """Make *model* the one that this home's Codex uses."""
    config = Path(env["CODEX_HOME"]) / "config.toml"
    rest = [line for line in config.read_text().splitlines() if not line.startswith("model =")]
    config.write_text("\n".join([f'model = "{model}"', *rest]) + "\n")


CODEX_CONFIG = f"""\
model = "{CODEX_MODEL}"
model_provider = "scripted"
check_for_update_on_startup = false

[analytics]
enabled = false

[features]
apps = false
plugins = false

[model_providers.scripted]
name = "scripted"
base_url = "{{url}}/v1"
wire_api = "responses"
requires_openai_auth = true
supports_websockets = false
request_max_retries = 1
stream_max_retries = 1
"""
