"""The git driver: worktrees, merges, and the one gateway for destructive acts."""
