"""Random work of several workers, and between it every command of ours that touches trees, branches or refs.

After each command: what lay in a tree before it, and the commits its records knew, lie there still or are held
by a ref, and what a ref held before is held after. Runs as a user who cannot read everything, so unreadable files are unreadable.
"""

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.journal.store import FILE_NAME, Journal
from agentorchestr.model import facts as f
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import integration_branch, worker_branch
from agentorchestr.paths import Paths, ensure_private
from agentorchestr.wiring.cleaning import clean
from agentorchestr.wiring.reading import read_session
from agentorchestr.wiring.saving import save_worktrees
from agentorchestr.worktree import gateway
from agentorchestr.worktree.adding import add_worktree
from agentorchestr.worktree.committing import commit_all
from agentorchestr.worktree.merging import commit_tree, compute_merge, move_branch
from agentorchestr.worktree.pool import WorktreePool
from agentorchestr.worktree.repository import Repository, branch_tip, find_repository
from agentorchestr.worktree.restoring import SavedStates
from tests.conftest import git
from tests.wiring.test_cleaning import CREATED
from tests.worktree.saved import blob_id, held
from tests.worktree.test_nothing_is_lost import ACTS, existing, free

SESSION = "abcdef"
ODD_NAMES = ("\xff\udcfe", "a b\tc", "-rf", "..x", "con\nnew", "%s{}$(x)", "aux.", "K" * 200)


def change_mode(rng: random.Random, tree: Path) -> None:
    if path := existing(rng, tree):
        path.chmod(rng.choice([0o600, 0o700, 0o444, 0o755]))


def make_unreadable(rng: random.Random, tree: Path) -> None:
    if rng.random() < 0.3 and (path := existing(rng, tree)):
        path.chmod(0)


def odd_name(rng: random.Random, tree: Path) -> None:
    path = tree / rng.choice(["", "build"]) / rng.choice(ODD_NAMES)
    if free(path, tree):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(rng.randbytes(12))


def conflict(rng: random.Random, tree: Path) -> None:
    """A merge with conflicts, left in the middle as an agent leaves it."""
    others = git(tree, "for-each-ref", "--format=%(objectname)", "refs/heads/agentorchestr").split()
    if others:
        with contextlib.suppress(subprocess.CalledProcessError):
            git(tree, "merge", "-q", "--no-edit", rng.choice(others))


def same_line(rng: random.Random, tree: Path) -> None:
    path = tree / "README.md"
    if free(path, tree) and not path.is_dir():
        path.unlink(missing_ok=True)
        path.write_bytes(b"line %d\n" % rng.randrange(1000))
        commit_all(tree, message="the same line")


def rewrite(rng: random.Random, tree: Path) -> None:
    git(tree, "commit", "-q", "--amend", "--allow-empty", "-m", f"again {rng.random()}")


MORE_ACTS = (*ACTS, change_mode, make_unreadable, odd_name, odd_name, conflict, same_line, same_line, rewrite)


def bytes_of(path: Path) -> bytes:
    """What *path* holds, also when its owner shut it: the test looks, the product may not."""
    if path.is_symlink():
        return os.fsencode(path.readlink())
    mode = path.stat().st_mode
    if mode & 0o400:
        return path.read_bytes()
    path.chmod(0o600)
    try:
        return path.read_bytes()
    finally:
        path.chmod(mode)


@dataclass
class World:
    """One repository with a session's trees."""

    rng: random.Random
    repo: Repository
    paths: Paths
    spawned: int = 0
    restored: int = 0

    @property
    def folder(self) -> Path:
        return self.paths.worktrees(self.repo.key, SESSION)

    @property
    def trees(self) -> list[Path]:
        found = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return [path for path in found if not path.name.startswith(".")]

    def written(self) -> set[str]:
        """What lies in the trees: files, links, what is staged, and the commits their own records know."""
        blobs = set()
        for tree in self.trees:
            for base, folders, files in os.walk(tree):
                links = [name for name in folders if Path(base, name).is_symlink()]
                blobs |= {
                    blob_id(bytes_of(Path(base, name)))
                    for name in (*files, *links)
                    if Path(base, name) != tree / ".git"
                }
            with contextlib.suppress(subprocess.CalledProcessError):
                lines = git(tree, "ls-files", "-s", "-z").split("\0")
                blobs |= {line.split()[1] for line in lines if line[:3] in {"100", "120"}}
                blobs |= set(git(tree, "rev-list", "--walk-reflogs", "HEAD").split())
        return blobs

    def journal(self) -> None:
        """Write the session down as one that is over, unless a clean left it standing."""
        if (self.paths.session(SESSION) / FILE_NAME).exists():
            return
        root = str(self.repo.root)
        created = replace(CREATED, session_id=SESSION, project=root, repository=root)
        workers = [
            f.WorkerSpawned(
                name, "implementer", "practice", "t", (), "", "",
                worker_branch(SESSION, name), str(self.folder / name), "n",
            )
            for name in (tree.name for tree in self.trees)
        ]  # fmt: skip
        with Journal.create(ensure_private(self.paths.session(SESSION))) as journal:
            journal.append([created, *workers, f.SessionEnded(Outcome.DONE, "")], at=time.time())

    def spawn(self) -> None:
        self.spawned += 1
        name = f"w{self.spawned}"
        tip = branch_tip(self.repo, integration_branch(SESSION)) or git(self.repo.root, "rev-parse", "HEAD")
        pool = WorktreePool(self.repo, self.folder / ".pool", size=1)
        if self.rng.random() < 0.3:
            pool.fill(tip)
        if not pool.take(self.folder / name, branch=worker_branch(SESSION, name), commit=tip):
            add_worktree(self.repo, self.folder / name, branch=worker_branch(SESSION, name), commit=tip)

    def merge(self) -> None:
        ours, name = integration_branch(SESSION), self.rng.choice(self.trees).name
        tip, theirs = branch_tip(self.repo, ours), branch_tip(self.repo, worker_branch(SESSION, name))
        if tip is None:
            git(self.repo.root, "branch", ours, "HEAD")
        elif theirs is not None:
            computed = compute_merge(self.repo, ours=tip, theirs=theirs)
            if not (computed.conflicts or computed.nothing):
                new = commit_tree(self.repo, tree=computed.tree, parents=(tip, theirs), message="merged")
                move_branch(self.repo, ours, new=new, expected=tip)

    def close(self) -> None:
        tree = self.rng.choice(self.trees)
        with contextlib.suppress(OrchestrError):
            commit_all(tree, message="left")
        gateway.remove_worktree(self.repo, tree, session_id=SESSION, worker_id=tree.name)
        gateway.delete_branch(
            self.repo, worker_branch(SESSION, tree.name), merged_into=integration_branch(SESSION)
        )

    def stop(self) -> None:
        self.journal()
        save_worktrees(self.paths, read_session(self.paths, SESSION))

    def clean(self) -> None:
        self.journal()
        clean(self.paths, [SESSION] if self.rng.random() < 0.7 else [], dry_run=self.rng.random() < 0.2)

    def snapshot(self) -> None:
        tree = self.rng.choice(self.trees)
        before = (self.folder / tree.name).exists() and git(tree, "status", "--porcelain", "-z")
        gateway.snapshot(self.repo, tree, session_id=SESSION, worker_id=tree.name)
        assert git(tree, "status", "--porcelain", "-z") == before

    def restore(self) -> None:
        states = SavedStates(self.repo)
        found = states.listed()
        if found:
            self.restored += 1
            state = self.rng.choice(found)
            target = self.repo.root.parent / f"back{self.restored}"
            states.to_folder(state, target)
            lines = git(self.repo.root, "ls-tree", "-r", "-z", state.row.commit).split("\0")
            wanted = {line.split()[2] for line in lines if line[:3] in {"100", "120"}}
            there = (p for p in target.rglob("*") if p.is_symlink() or p.is_file())
            assert {blob_id(bytes_of(path)) for path in there} == wanted
            with contextlib.suppress(UsageError):
                states.to_branch(state, f"back{self.rng.randrange(3)}")

    def lose_folder(self) -> None:
        """No command of ours: somebody moves a tree away. Its commits must not go with git's record of it."""
        tree = self.rng.choice(self.trees)
        tree.rename(self.repo.root.parent / f"away{self.rng.random()}")
        gateway.prune(self.repo)

    def carry_out(self, command: Callable[[], None]) -> None:
        before = self.written() if command != self.lose_folder else set()
        there = held(self.repo)
        with contextlib.suppress(OrchestrError):
            command()
        now = held(self.repo)
        assert before - now - self.written() == set(), command.__name__
        assert there - now == set(), command.__name__


@pytest.mark.parametrize("seed", range(int(os.environ.get("AGENTORCHESTR_HISTORIES", "6"))))
def test_no_sequence_of_commands_loses_a_byte(
    found: Repository, tmp_path: Path, request: pytest.FixtureRequest, seed: int
) -> None:
    (found.root / ".gitignore").write_text("*.log\nbuild/\n")
    git(found.root, "add", "-A")
    git(found.root, "commit", "-qm", "ignore")
    rng = random.Random(seed)  # noqa: S311 - a history that can be repeated
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    world = World(rng, find_repository(found.root), Paths.from_env(env))
    for folder in (world.paths.state, world.paths.run, world.paths.sessions):
        ensure_private(folder)
    # Once as who we are: modules that are loaded late may lie where nobody may look.
    for command in (world.spawn, world.snapshot, world.stop, world.clean, world.restore):
        world.carry_out(command)
    request.getfixturevalue("as_nobody")
    needs_tree = (world.merge, world.merge, world.close, world.snapshot, world.lose_folder)
    for _ in range(25):
        for tree in world.trees:
            for _ in range(rng.randrange(4)):
                # Some acts cannot be done in the middle of a merge or over a file that was shut.
                with contextlib.suppress(subprocess.CalledProcessError, OrchestrError, PermissionError):
                    rng.choice(MORE_ACTS)(rng, tree)
        choices = (world.spawn, world.spawn, world.restore, world.stop, world.clean)
        command = rng.choice((*choices, *needs_tree) if world.trees else choices[:2])
        world.carry_out(command)
    for tree in world.trees:
        for path in tree.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.chmod(0o644)
    world.carry_out(world.stop)
    world.carry_out(world.clean)
    assert world.spawned > 0
