"""Fill a worktree that was made anew with what was saved of the one before it."""

from pathlib import Path

from agentorchestr.worktree.git import CHECKOUT_S, run_git
from agentorchestr.worktree.repository import Repository
from agentorchestr.worktree.snapshots import SnapshotRow, list_snapshots


def last_snapshot(repo: Repository, session_id: str, worker_id: str) -> SnapshotRow | None:
    """What was saved last of this worker's worktree."""
    mine = [row for row in list_snapshots(repo, session_id) if row.ref.split("/")[4] == worker_id]
    return max(mine, key=lambda row: int(row.ref.rpartition("/")[2]), default=None)


def put_back(repo: Repository, worktree: Path, saved: SnapshotRow, *, tip: str) -> bool:
    """Bring the files of *saved* into a fresh *worktree* at *tip*.

    False, with nothing done, when they were saved on top of another commit. Nothing can be lost: the tree
    holds only what *tip* does. Repositories nested in it stay in the snapshot.
    """
    base = run_git(repo.root, "rev-parse", "-q", "--verify", f"{saved.commit}^1", accept=(0, 1, 128))
    if base.text != tip:
        return False
    run_git(
        worktree, "restore", f"--source={saved.commit}", "--no-overlay", "--worktree", "--", ".",
        timeout_s=CHECKOUT_S,
    )  # fmt: skip
    return True
