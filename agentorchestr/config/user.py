"""The person's own defaults, in ``config.toml`` of the configuration folder; every flag overrides one."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agentorchestr.config.files import parse_settings, read_text

USER_CONFIG = "config.toml"

AgentName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class UserConfig(BaseModel):
    """Defaults of one person."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lead: AgentName | None = None
    agents: tuple[AgentName, ...] = ()
    """The agents to use, in order of preference; empty: all that are ready."""
    max_workers: int = Field(default=4, ge=1, le=32)
    timeout: str = ""
    """As ``--timeout``: ``2h``, ``30m``, ``1h30m``."""
    memory_reserve_mb: int = Field(default=512, ge=0, le=1_000_000)
    """Memory that stays free: a worker that would take of it waits. 0: nobody waits."""
    attach: bool | None = None
    """None: attach on a terminal."""


def load_user_config(folder: Path) -> UserConfig:
    """Read the person's defaults from *folder*; ours when there is no file.

    Raises ``UsageError`` with file, line and key.
    """
    text = read_text(folder / USER_CONFIG)
    if text is None:
        return UserConfig()
    return parse_settings(text, UserConfig, path=folder / USER_CONFIG)
