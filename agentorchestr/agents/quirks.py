"""What a spec cannot say as data: the oddities of single agents, each with its reason."""

import json
import os
import platform
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from agentorchestr.agents.environment import expand
from agentorchestr.errors import AgentNotReady

CODEX_TARGETS = {
    ("linux", "x86_64"): ("codex-linux-x64", "x86_64-unknown-linux-musl"),
    ("linux", "aarch64"): ("codex-linux-arm64", "aarch64-unknown-linux-musl"),
    ("darwin", "x86_64"): ("codex-darwin-x64", "x86_64-apple-darwin"),
    ("darwin", "arm64"): ("codex-darwin-arm64", "aarch64-apple-darwin"),
}


def require_sandbox_for_root(env: Mapping[str, str], *, euid: int | None = None) -> None:
    """Raise ``AgentNotReady`` when Claude Code would refuse to work unattended as root.

    It compares with the text ``1``: ``yes`` or ``true`` do not count.
    """
    me = os.geteuid() if euid is None else euid
    if me == 0 and env.get("IS_SANDBOX") != "1" and not env.get("CLAUDE_CODE_BUBBLEWRAP"):
        raise AgentNotReady(
            "Claude Code refuses to run unattended as root",
            hint="run as another user, or in a container of its own with IS_SANDBOX=1",
        )


def native_codex(found: Path) -> Path:
    """The native program behind the npm wrapper *found*; *found* itself when that is not certain.

    The wrapper keeps a Node process of about 40 MiB beside each agent, and with an older Node the agent
    is not the pane's own process. Certain means: the wrapper's package and the platform's package lie
    where the wrapper itself would look, with the same version.
    """
    target = CODEX_TARGETS.get((sys.platform, platform.machine()))
    script = found.resolve()
    package = script.parent.parent
    if target is None or script.name != "codex.js" or package.parent.name != "@openai":
        return found
    wanted = _npm_version(package)
    for home in (package / "node_modules" / "@openai" / target[0], package.parent / target[0]):
        native = home / "vendor" / target[1] / "bin" / "codex"
        if native.is_file():
            same = wanted and _npm_version(home).partition("-")[0] == wanted.partition("-")[0]
            return native if same and os.access(native, os.X_OK) else found
    return found


def _npm_version(package: Path) -> str:
    try:
        version = json.loads((package / "package.json").read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return version if isinstance(version, str) else ""


def codex_own_provider(env: Mapping[str, str]) -> str:
    """The variable that Codex's configured provider takes its key from, when it is set; else empty.

    ``codex login status`` says "Not logged in" for such a provider although it works.
    """
    home = expand("$CODEX_HOME|~/.codex", env)
    try:
        config = tomllib.loads((home / "config.toml").read_text()) if home else {}
    except (OSError, ValueError):
        return ""
    providers = config.get("model_providers")
    chosen = providers.get(config.get("model_provider")) if isinstance(providers, dict) else None
    key = chosen.get("env_key", "") if isinstance(chosen, dict) else ""
    return key if isinstance(key, str) and env.get(key) else ""
