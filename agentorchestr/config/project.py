"""What a repository may ask for in ``.agentorchestr/config.toml``: checks and worktree set-up, no programs.

It may choose nothing that runs before the person has trusted it, and it can never define an agent.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from agentorchestr.config.files import parse_settings, read_text_inside

PROJECT_CONFIG = ".agentorchestr/config.toml"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\n\r\x00]*$")]
Lines = Annotated[tuple[Line, ...], BeforeValidator(_as_list)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")]
TAKEN = frozenset(["PATH", "HOME", "SHELL", "USER", "LOGNAME", "TERM", "TMPDIR", "PWD", "LANG", "IFS", "ENV"])
TAKEN_FAMILIES = ("LD_", "DYLD_", "PYTHON", "GIT_", "XDG_", "AGENTORCHESTR_", "LC_", "NODE_", "BASH_")
VariableNames = Annotated[tuple[VariableName, ...], BeforeValidator(_as_list)]


class WorktreeTable(BaseModel):
    """``[worktree]``: what git does not carry into a new worktree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    copies: Lines = Field(default=(), alias="copy")
    """Files or folders to copy, relative to the project."""
    links: Lines = Field(default=(), alias="link")
    """Files or folders to link to, relative to the project."""
    setup: Lines = ()
    """Shell lines that run in each new worktree, once the repository is trusted."""
    ports: VariableNames = ()
    """Environment variables that get a free port of their own in each worktree."""

    @field_validator("ports")
    @classmethod
    def stay_harmless(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a variable that programs need for something else."""
        for name in names:
            if name in TAKEN or name.startswith(TAKEN_FAMILIES):
                message = f"{name} means something else to programs; choose a name such as APP_PORT"
                raise ValueError(message)
        return names

    @field_validator("copies", "links")
    @classmethod
    def stay_inside(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse a path that leaves the project or reaches into git's own folder."""
        for name in names:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or ".git" in path.parts or not path.parts:
                message = f"{name!r} must be a path inside the project, without '..' or '.git'"
                raise ValueError(message)
        return names


class ProjectConfig(BaseModel):
    """The whole file. ``checks`` are shell lines; an empty one is a fault, not a way to say "none"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checks: Lines = ()
    worktree: WorktreeTable = WorktreeTable()

    @property
    def commands(self) -> tuple[str, ...]:
        """Every line of the repository's own that this file would have us run."""
        return (*self.checks, *self.worktree.setup)


def load_project_config(root: Path) -> ProjectConfig:
    """Read the settings of the project at *root*; the defaults when it has none.

    Raises ``UsageError`` with file, line and key.
    """
    text = read_text_inside(root, PROJECT_CONFIG)
    if text is None:
        return ProjectConfig()
    return parse_settings(text, ProjectConfig, path=root / PROJECT_CONFIG)
