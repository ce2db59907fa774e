"""Take away what old sessions left, as far as it is merged or saved, and say what stays and why."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from agentorchestr.errors import GitError, OrchestrError, UsageError
from agentorchestr.journal.store import FILE_NAME
from agentorchestr.ledger import Ledger
from agentorchestr.model.mail import Address
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView, tmux_session_name
from agentorchestr.mqtt.broker import broker_folder
from agentorchestr.paths import LockHeld, Paths, ensure_private, holding_lock
from agentorchestr.process import marked
from agentorchestr.supervisor.finishing import remove_if_empty
from agentorchestr.supervisor.post import ORG
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.carrying import close_carrier
from agentorchestr.wiring.reading import (
    list_sessions,
    looked_after,
    read_session,
    session_lock,
    unreadable_sessions,
)
from agentorchestr.worktree import gateway
from agentorchestr.worktree.leftovers import left_branches, left_trees, owner_of, unsaved_names
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import Repository, find_repository

DAY_S = 86_400.0
KEPT_S = 14 * DAY_S
"""How long the files of a session that left nothing else stay, for ``logs``."""
LOCK_WAIT_S = 120.0
SESSION_ID = re.compile(r"[0-9a-f]{6}")
UNFINISHED_S = 3600.0
"""A session's folder without a journal is one in the making, or one that a crash cut off."""


@dataclass(frozen=True)
class Piece:
    """One thing that a session left. *keep* says why it stays; empty: it goes, or went."""

    session_id: str
    kind: str
    name: str
    keep: str = ""
    note: str = ""


@dataclass
class Cleaning:
    """What went and what stays. With *dry_run* nothing was touched."""

    dry_run: bool
    gone: list[Piece] = field(default_factory=list)
    kept: list[Piece] = field(default_factory=list)

    def settle(self, piece: Piece, act: Callable[[], str | None] | None = None) -> None:
        """Carry *act* out for *piece*, unless it has to stay; what *act* returns is noted."""
        if piece.keep:
            self.kept.append(piece)
            return
        try:
            note = act() if act is not None and not self.dry_run else None
        except (OrchestrError, OSError) as exc:
            self.kept.append(replace(piece, keep=str(exc)))
            return
        self.gone.append(replace(piece, note=note) if note else piece)

    def holds_back(self, session_id: str) -> bool:
        """Whether anything of this session stays."""
        return any(piece.session_id == session_id for piece in self.kept)


def clean(
    paths: Paths, wanted: Sequence[str] = (), *, dry_run: bool = False, older_than_s: float = KEPT_S
) -> Cleaning:
    """Clean up after the sessions *wanted* (ids or their beginnings), or after all of this user.

    A session that did not come to its end is never touched. Its files go when nothing else of it stays and it
    ended *older_than_s* ago, or when it was named. Two at once wait for each other.

    Raises ``UsageError`` when a wanted session is not there.
    """
    with holding_lock(ensure_private(paths.state) / "clean.lock", within_s=LOCK_WAIT_S):
        cleaning = Cleaning(dry_run)
        views = list_sessions(paths)
        named = _named(views, wanted)
        for view in named if wanted else views:
            _clean_session(paths, view, cleaning, older_than_s=0.0 if wanted else older_than_s)
        if not wanted:
            _clean_ownerless(paths, [view.session_id for view in views], cleaning)
    return cleaning


def _named(views: Sequence[SessionView], wanted: Sequence[str]) -> list[SessionView]:
    found: dict[str, SessionView] = {}
    for name in wanted:
        matching = [view for view in views if name and view.session_id.startswith(name)]
        if len(matching) != 1:
            problem = "no session" if not matching else "more than one session"
            raise UsageError(f"{problem} begins with {name!r}", hint="agentorchestr --list-sessions")
        found[matching[0].session_id] = matching[0]
    return list(found.values())


def _clean_session(paths: Paths, view: SessionView, cleaning: Cleaning, *, older_than_s: float) -> None:
    try:
        with holding_lock(session_lock(paths, view.session_id)):
            # Read again: it may have been taken up while we waited for our turn.
            _Session(paths, read_session(paths, view.session_id), cleaning).clean(older_than_s=older_than_s)
    except LockHeld:
        keep = "another command is at work on it"
        cleaning.settle(Piece(view.session_id, "session", view.session_id, keep))


class _Session:
    """One session that is cleaned up after."""

    def __init__(self, paths: Paths, view: SessionView, cleaning: Cleaning) -> None:
        self._paths, self._view, self._cleaning = paths, view, cleaning
        self._id = view.session_id
        self._tmux = TmuxServer(paths.tmux_socket)

    def clean(self, *, older_than_s: float) -> None:
        why = self._why_untouched()
        if why:
            self._settle("session", self._id, keep=why)
            return
        self._clean_processes()
        try:
            self._clean_repository(find_repository(Path(self._view.created.repository)))
        except (GitError, UsageError) as exc:
            self._settle("repository", self._view.created.repository, keep=str(exc))
        self._clean_logins()
        run = self._paths.session_run(self._id)
        if run.exists():
            self._settle("run folder", str(run), _removal(run))
        self._clean_files(older_than_s)

    def _settle(
        self,
        kind: str,
        name: str,
        act: Callable[[], str | None] | None = None,
        *,
        keep: str = "",
        note: str = "",
    ) -> None:
        self._cleaning.settle(Piece(self._id, kind, name, keep, note), act)

    def _why_untouched(self) -> str:
        """Why nothing of this session may be touched; empty when it is over for good."""
        view = self._view
        if looked_after(view):
            return "it runs" if view.outcome is None else "its supervisor is just ending it"
        if view.outcome is None:
            return f"it came to no end: agentorchestr stop {self._id}"
        if view.outcome is Outcome.PAUSED:
            return f"it is paused and can go on; give it up: agentorchestr stop {self._id}"
        if self._tmux.attached_clients(tmux_session_name(self._id)):
            return "a terminal shows it"
        return ""

    def _clean_processes(self) -> None:
        """A finished session has no processes; those a crash left are ended, and no others."""
        for pid in marked(f"{self._id}:"):
            self._settle("process", str(pid), self._end_processes)
        name = tmux_session_name(self._id)
        if self._tmux.has_session(name):
            self._settle("tmux session", name, partial(self._tmux.end_session, name))

    def _end_processes(self) -> None:
        Ledger(self._paths.session_run(self._id), self._id).end()

    def _clean_repository(self, repo: Repository) -> None:
        folder = self._paths.worktrees(repo.key, self._id)
        _clean_trees(repo, folder, self._id, self._cleaning)
        if not self._cleaning.dry_run:
            gateway.prune(repo, ours=f"{gateway.OUR_BRANCHES}{self._id}/", session_id=self._id)
        for branch in left_branches(repo, self._id):
            self._clean_branch(repo, branch.name, holder=branch.holder, own_commits=branch.own_commits)

    def _clean_branch(self, repo: Repository, name: str, *, holder: str, own_commits: int) -> None:
        if not holder:
            integration = name == self._view.integration_branch
            way = f"agentorchestr land {self._id}" if integration else f"git merge {name}"
            keep = f"{own_commits} commits are on it alone; {way}" if own_commits else "nothing else holds it"
            self._settle("branch", name, keep=keep)
            return

        def delete() -> None:
            if not gateway.delete_branch(repo, name, merged_into=holder):
                raise GitError("it moved, or is checked out")

        self._settle("branch", name, delete, note=f"merged into {holder}")

    def _clean_logins(self) -> None:
        if not (self._paths.state / "broker").is_dir():
            return
        users = broker_folder(self._paths).read_users().users
        addresses = [Address(ORG, self._id, worker_id) for worker_id in self._view.workers]
        left = tuple(address for address in addresses if str(address) in users)
        for address in left:
            act = partial(close_carrier, self._paths, self._id, (address,), private=True)
            self._settle("login", str(address), act)

    def _clean_files(self, older_than_s: float) -> None:
        folder = self._paths.session(self._id)
        age_s = time.time() - (self._view.ended_at or self._view.created_at)
        if self._cleaning.holds_back(self._id):
            self._settle("session files", str(folder), keep="something else of it stays")
        elif age_s < older_than_s:
            wait = (older_than_s - age_s) / DAY_S
            keep = f"for `logs`, {wait:.0f} more days; now: agentorchestr clean {self._id}"
            self._settle("session files", str(folder), keep=keep)
        else:
            self._settle("session files", str(folder), _removal(folder))


def _clean_trees(repo: Repository, folder: Path, session_id: str, cleaning: Cleaning) -> None:
    """Save and remove the worktrees in *folder*, and those in it that nobody was given."""
    for tree in left_trees(repo, folder):
        cleaning.settle(_tree_piece(repo, tree, session_id), partial(_remove_tree, repo, tree, session_id))
    if cleaning.dry_run or not folder.is_dir():
        return
    WorktreePool(repo, folder / ".pool", size=0).drain()
    for scratch in sorted(folder.iterdir()):
        if gateway.is_unused(repo, scratch):
            gateway.remove_scratch(repo, scratch)
    remove_if_empty(folder)
    remove_if_empty(folder.parent)


def _tree_piece(repo: Repository, tree: Path, session_id: str) -> Piece:
    piece = Piece(session_id, "worktree", str(tree))
    try:
        left_out, files = unsaved_names(repo, tree)
    except (OrchestrError, OSError) as exc:
        return replace(piece, keep=str(exc))
    if left_out:
        names = ", ".join(left_out[:3])
        return replace(piece, keep=f"{len(left_out)} files in it are too large to save: {names}")
    return replace(piece, note=f"{files} unsaved files go to a snapshot" if files else "nothing unsaved")


def _remove_tree(repo: Repository, tree: Path, session_id: str) -> str:
    ref = gateway.remove_worktree(repo, tree, session_id=session_id, worker_id=tree.name)
    return f"saved in {ref}" if ref else ""


def _clean_ownerless(paths: Paths, readable: Sequence[str], cleaning: Cleaning) -> None:
    """Clean up what belongs to no session that is there: a crash in its making, or a removal cut off."""
    for name in unreadable_sessions(paths, readable):
        cleaning.settle(Piece(name, "session", name, keep="its journal cannot be read"))
    for folder in _folders(paths.sessions):
        young = time.time() - folder.stat().st_mtime < UNFINISHED_S
        if not ((folder / FILE_NAME).exists() or young or marked(folder.name)):
            piece = Piece(folder.name, "session files", str(folder), note="without a journal")
            cleaning.settle(piece, _removal(folder))
    for folder in _folders(paths.run):
        if not (paths.session(folder.name).exists() or marked(folder.name)):
            cleaning.settle(Piece(folder.name, "run folder", str(folder)), _removal(folder))
    for project in sorted((paths.state / "worktrees").glob("*")):
        for folder in _folders(project):
            if not (paths.session(folder.name).exists() or marked(folder.name)):
                _clean_ownerless_trees(folder, cleaning)


def _clean_ownerless_trees(folder: Path, cleaning: Cleaning) -> None:
    for tree in sorted(path for path in folder.iterdir() if path.is_dir()):
        repo = owner_of(tree)
        if repo is None:
            keep = "its repository is not to be found"
            cleaning.settle(Piece(folder.name, "worktree", str(tree), keep=keep))
        else:
            _clean_trees(repo, folder, folder.name, cleaning)
            return
    if not cleaning.dry_run:
        remove_if_empty(folder)
        remove_if_empty(folder.parent)


def _removal(folder: Path) -> Callable[[], None]:
    return partial(gateway.remove_folder, folder, inside=folder.parent)


def _folders(parent: Path) -> Iterator[Path]:
    """The folders in *parent* that are named like a session."""
    if parent.is_dir():
        yield from (p for p in sorted(parent.iterdir()) if p.is_dir() and SESSION_ID.fullmatch(p.name))
