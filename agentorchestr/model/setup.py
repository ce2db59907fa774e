"""What a new worktree needs that git does not carry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WorktreeSetup:
    """How to set up one worktree. Paths are relative to the project and stay inside it."""

    copy: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    """Shell lines of the repository: only run once it is trusted."""
    ports: tuple[str, ...] = ()
    """Environment variables that get a free port of their own in each worktree."""
