"""What a fresh worktree needs that git does not carry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WorktreeSetup:
    """How a worktree is made ready, in this order. Paths are relative to the top of the repository."""

    copy: tuple[str, ...] = ()
    """Files or folders copied from the person's tree; never over something that is there."""
    link: tuple[str, ...] = ()
    """Files or folders the worktree shares with the person's tree by a symbolic link."""
    commands: tuple[tuple[str, ...], ...] = ()
    """Commands run in the worktree, without a shell."""
    ports: tuple[str, ...] = ()
    """Environment variables that each get a free TCP port."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.copy or self.link or self.commands or self.ports)
