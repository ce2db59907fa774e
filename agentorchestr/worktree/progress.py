"""What was done in a worktree since a commit, committed or not; nothing is touched."""

from pathlib import Path

from agentorchestr.worktree.git import CHECKOUT_S, run_git, shown
from agentorchestr.worktree.repository import read_dirty

COMMITS = 30
NAMES = 100


def commits_since(worktree: Path, start: str) -> str:
    """The commits that *worktree* has checked out and *start* does not hold, newest first."""
    words = ("log", f"-{COMMITS}", "--no-show-signature", "--format=%h %s")
    answer = run_git(worktree, *words, f"{start}..HEAD")
    return shown(answer.out).rstrip()


def work_since(worktree: Path, start: str) -> str:
    """How the files of *worktree* differ from *start*: a summary, new files by name, then the patch."""
    words = (
        "diff",
        "--stat=100",
        "--patch",
        "-M",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        start,
        "--",
    )
    patch = shown(run_git(worktree, *words, timeout_s=CHECKOUT_S).out).rstrip()
    fresh = [shown(name) for name, status in read_dirty(worktree) if status == "??"]
    more = f" and {len(fresh) - NAMES} more" if len(fresh) > NAMES else ""
    named = f"new files, not added to git yet: {', '.join(fresh[:NAMES])}{more}\n" if fresh else ""
    return f"{named}{patch}".rstrip()
