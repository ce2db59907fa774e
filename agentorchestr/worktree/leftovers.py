"""What a session left in a repository: its worktrees, its branches, and whether they hold anything alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import GitError, UsageError
from agentorchestr.worktree import gateway
from agentorchestr.worktree.git import run_git
from agentorchestr.worktree.repository import Repository, find_repository
from agentorchestr.worktree.unsaved import read_unsaved


@dataclass(frozen=True)
class LeftBranch:
    """A branch of ours. *holder* is another ref that holds all of it; empty when there is none."""

    name: str
    holder: str
    own_commits: int
    """How many commits would be lost with it."""


def left_branches(repo: Repository, session_id: str) -> tuple[LeftBranch, ...]:
    """All branches of the session, the integration branch last: it may be the holder of the others."""
    folder = f"refs/heads/{gateway.OUR_BRANCHES}{session_id}/"
    names = run_git(repo.root, "for-each-ref", "--format=%(refname)", folder).text.splitlines()
    last = f"{folder}integration"
    ordered = sorted(names, key=lambda name: (name == last, name))
    return tuple(_look_at(repo, name, folder=folder, last=last) for name in ordered)


def _look_at(repo: Repository, name: str, *, folder: str, last: str) -> LeftBranch:
    places = ("refs/heads", "refs/remotes", "refs/tags")
    how = ("for-each-ref", "--format=%(refname)", f"--contains={name}")
    refs = run_git(repo.root, *how, *places).text.splitlines()
    # Another worker's branch goes as well, so it holds nothing; the integration branch is asked last.
    holders = [ref for ref in refs if ref != name and (not ref.startswith(folder) or ref == last)]
    # The person's own branches first: they are the last to go.
    holders.sort(key=lambda ref: (ref.startswith(f"refs/heads/{gateway.OUR_BRANCHES}"), ref))
    if holders:
        return LeftBranch(name.removeprefix("refs/heads/"), holders[0], 0)
    ours = folder.removeprefix("refs/heads/")
    lasting = (f"--exclude={ours}*", "--branches", "--remotes", "--tags")
    also = (last,) if name != last and run_git(repo.root, "for-each-ref", last).out else ()
    alone = run_git(repo.root, "rev-list", "--count", name, "--not", *lasting, *also).text
    return LeftBranch(name.removeprefix("refs/heads/"), "", int(alone))


def left_trees(repo: Repository, folder: Path) -> tuple[Path, ...]:
    """The worktrees in *folder* that may hold an agent's work, and are still there."""
    if not folder.is_dir():
        return ()
    trees = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return tuple(path for path in trees if not gateway.is_unused(repo, path))


def unsaved_names(repo: Repository, tree: Path) -> tuple[Sequence[str], int]:
    """What in *tree* is too large to be saved, and how many files a snapshot of it would hold.

    Raises ``WorkAtRisk`` when that cannot be told.
    """
    found = read_unsaved(repo, tree)
    return found.left_out, len(found.files)


def owner_of(tree: Path) -> Repository | None:
    """The repository that *tree* is a linked worktree of; None when that is not to be found."""
    try:
        git_dir = find_repository(tree).git_dir
        return find_repository(git_dir.parent) if git_dir.name == ".git" else None
    except (UsageError, GitError, OSError):
        return None
