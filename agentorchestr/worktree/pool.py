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
from agentorchestr.worktree.making import MAKING, noted, remove_half_made
from agentorchestr.worktree.repository import Repository, create_branch

logger = logging.getLogger(__name__)


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
        self._claiming = threading.Lock()

    def fill(self, commit: str) -> None:
        """Bring the ready trees to *commit* and make more until there are enough.

        Removes what a crash left half-made. Slow: for a thread of its own, also after each move of
        the integration branch.
        """
        with self._filling:
            self._remove_broken()
            for path in self.ready():
                self._freshen(path, commit)
            for _ in range(self._size - len(self.ready())):
                add_unused(self._repo, self._folder / uuid.uuid4().hex[:12], commit=commit)
            for path in self.ready():
                # git rereads every file that is as young as its index, once; better now than in a spawn.
                run_git(path, "update-index", "-q", "--refresh", accept=range(256), timeout_s=CHECKOUT_S)

    def _freshen(self, path: Path, commit: str) -> None:
        if self._head(path) == commit:
            return
        with contextlib.ExitStack() as stack:
            with self._claiming:
                if not path.exists():
                    return
                stack.enter_context(noted(path))
            self._update_files(path, commit)
            run_git(path, "update-ref", "--no-deref", "HEAD", commit)

    def _head(self, path: Path) -> str:
        return (admin_dir(self._repo, path) / "HEAD").read_text(errors="replace").strip()

    def _update_files(self, path: Path, commit: str) -> None:
        head = self._head(path)
        if head != commit:
            # Unlike a checkout this looks only at files that differ between the two.
            run_git(path, "read-tree", "-m", "-u", head, commit, timeout_s=CHECKOUT_S)

    def ready(self) -> tuple[Path, ...]:
        """The trees that can be taken now."""
        trees = [path for path in self._entries() if path.suffix != MAKING]
        return tuple(
            path
            for path in trees
            if not path.with_suffix(MAKING).exists() and gateway.is_unused(self._repo, path)
        )

    def take(self, path: Path, *, branch: str, commit: str) -> bool:
        """Turn a ready tree into the worktree at *path*, on the new branch *branch* at *commit*.

        False when none is ready, or the one at hand turned out to be unusable: then nothing of it is
        left, and ``add_worktree`` is the way. Raises ``GitError`` when *path* or *branch* exists.
        """
        if path.exists() or path.is_symlink():
            raise GitError(f"cannot take a worktree: {path} exists")
        if not self._claim(path):
            return False
        made = False
        try:
            create_branch(self._repo, branch, commit)
            made = True
            mend_record(self._repo, path)
            self._update_files(path, commit)
            run_git(path, "symbolic-ref", "-m", "agentorchestr: taken", "HEAD", f"refs/heads/{branch}")
            gateway.give_out(self._repo, path)
        except (GitError, OSError):
            gateway.undo_add(self._repo, path, branch=branch if made else "", commit=commit)
            if not made:
                raise
            logger.warning("pooled worktree was not usable", extra={"branch": branch}, exc_info=True)
            return False
        return True

    def _claim(self, path: Path) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._claiming:
            for ready in self.ready():
                # The rename is the claim: of several takers exactly one succeeds. "git worktree move"
                # would refuse every tree that has a submodule entry, filled or not.
                with contextlib.suppress(FileNotFoundError):
                    ready.rename(path)
                    return True
        return False

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
            remove_half_made(self._repo, note.with_suffix(""))

    def _entries(self) -> list[Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []
