"""A pool of worktrees made beforehand: a checkout of a large repository does not delay a spawn."""

import contextlib
import logging
import threading
import uuid
from pathlib import Path

from agentorchestr.errors import GitError
from agentorchestr.worktree import gateway
from agentorchestr.worktree.adding import add_unused
from agentorchestr.worktree.git import CHECKOUT_S, run_git
from agentorchestr.worktree.listing import admin_dir, mend_record
from agentorchestr.worktree.repository import Repository, branch_tip

logger = logging.getLogger(__name__)

MAKING = ".making"


class WorktreePool:
    """Ready worktrees of one session, each a folder in *folder*, which belongs to the pool alone.

    Nothing is remembered here: a ready tree is one that carries the mark of an unused tree, and one
    in the making has a note beside it. So the next pool on the same folder takes over what a crash left.
    """

    def __init__(self, repo: Repository, folder: Path, *, size: int) -> None:
        self._repo = repo
        self._folder = folder
        self._size = size
        self._filling = threading.Lock()

    def fill(self, commit: str) -> None:
        """Make ready trees of *commit* until there are enough; remove what a crash left half-made.

        Slow: for a thread of its own. Trees at an older commit stay, since taking one is still faster.
        """
        with self._filling:
            self._remove_broken()
            for _ in range(self._size - len(self.ready())):
                self._add(self._folder / uuid.uuid4().hex[:12], commit)

    def _add(self, path: Path, commit: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        note = path.with_suffix(MAKING)
        note.touch()
        add_unused(self._repo, path, commit=commit)
        note.unlink(missing_ok=True)

    def ready(self) -> tuple[Path, ...]:
        """The trees that can be taken now."""
        return tuple(path for path in self._trees() if gateway.is_unused(self._repo, path))

    def take(self, path: Path, *, branch: str, commit: str) -> bool:
        """Turn a ready tree into the worktree at *path*, on the new branch *branch* at *commit*.

        False when none is ready, or the one at hand turned out to be unusable: then nothing of it is
        left at *path*, and ``add_worktree`` is the way. Raises ``GitError`` when *path* or *branch* exists.
        """
        if path.exists() or path.is_symlink() or branch_tip(self._repo, branch) is not None:
            raise GitError(f"cannot take a worktree: {path} or the branch {branch} exists")
        path.parent.mkdir(parents=True, exist_ok=True)
        for ready in self.ready():
            # The rename is the claim: of several takers exactly one succeeds. "git worktree move"
            # would refuse every tree that has a submodule entry, filled or not.
            with contextlib.suppress(FileNotFoundError):
                ready.rename(path)
                return self._give_out(path, branch=branch, commit=commit)
        return False

    def _give_out(self, path: Path, *, branch: str, commit: str) -> bool:
        try:
            mend_record(self._repo, path)
            # Without a start point git does not even read the index.
            head = (admin_dir(self._repo, path) / "HEAD").read_text(errors="replace").strip()
            start = () if head == commit else (commit,)
            run_git(path, "checkout", "-q", "--no-track", "-b", branch, *start, timeout_s=CHECKOUT_S)
            gateway.give_out(self._repo, path)
        except (GitError, OSError):
            logger.warning("pooled worktree was not usable", extra={"branch": branch}, exc_info=True)
            gateway.undo_add(self._repo, path, branch=branch, commit=commit)
            return False
        return True

    def drain(self) -> None:
        """Remove every tree that was not taken, and the folder."""
        with self._filling:
            self._remove_broken()
            for path in self.ready():
                gateway.remove_scratch(self._repo, path)
            gateway.prune(self._repo, inside=self._folder)
            if self._folder.is_dir() and not any(self._folder.iterdir()):
                self._folder.rmdir()

    def _remove_broken(self) -> None:
        for note in self._folder.glob(f"*{MAKING}"):
            path = note.with_suffix("")
            if not gateway.is_unused(self._repo, path):
                gateway.undo_add(self._repo, path, branch="", commit="")
            note.unlink(missing_ok=True)

    def _trees(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.suffix != MAKING)
