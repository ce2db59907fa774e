"""Make a fresh worktree ready: copy, link, run, and give it ports of its own."""

import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from agentorchestr import process
from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.worktree.git import run_git
from agentorchestr.worktree.repository import Repository

logger = logging.getLogger(__name__)

COMMAND_S = 900.0
TAIL_CHARS = 2000
USUALLY_LINKED = ("node_modules", ".venv")
USUALLY_COPIED = (".env", ".env.local")


@dataclass(frozen=True)
class SetupDone:
    """What was set up. ``env`` names the worktree's ports, for its agent and its checks."""

    env: dict[str, str]
    skipped: tuple[str, ...]
    """Sources that do not exist, and destinations that were there already."""


def apply_setup(repo: Repository, worktree: Path, setup: WorktreeSetup, env: Mapping[str, str]) -> SetupDone:
    """Copy, link and run what *setup* asks for in *worktree*; nothing that is there is overwritten.

    *env* is the whole environment of the commands; the ports are added to it. Raises ``UsageError``
    for a path that leads out of the repository or the worktree, ``OrchestrError`` for a command that
    fails.
    """
    skipped = []
    for name in (*setup.copy, *setup.link):
        _inside(repo.root, name)
        _inside(worktree, name, parent_only=True)
    for name in setup.copy:
        skipped += [] if _copy(_inside(repo.root, name), worktree / name) else [name]
    for name in setup.link:
        skipped += [] if _link(_inside(repo.root, name), worktree / name) else [name]
    ports = allocate_ports(setup.ports)
    for argv in setup.commands:
        _run(argv, worktree, {**env, **ports})
    if skipped:
        logger.info("worktree setup skipped files", extra={"detail": ", ".join(skipped)})
    return SetupDone(ports, tuple(skipped))


def _inside(root: Path, name: str, *, parent_only: bool = False) -> Path:
    """*name* below *root*, or ``UsageError`` when it, or a link on the way, leads out."""
    parts = PurePath(name).parts
    path = root / name
    real = (path.parent if parent_only else path).resolve()
    outside = not parts or PurePath(name).is_absolute() or ".." in parts or parts[0] == ".git"
    if outside or not real.is_relative_to(root.resolve()):
        raise UsageError(
            f"worktree setup: {name!r} leads out of {root}",
            hint="name files below the top of the repository in .agentorchestr/config.toml",
        )
    return path


def _copy(source: Path, target: Path) -> bool:
    if not source.exists() or target.exists() or target.is_symlink():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
    return True


def _link(source: Path, target: Path) -> bool:
    if not source.exists() or target.exists() or target.is_symlink():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source, target_is_directory=source.is_dir())
    return True


def _run(argv: tuple[str, ...], worktree: Path, env: Mapping[str, str]) -> None:
    done = process.run(argv, timeout_s=COMMAND_S, cwd=worktree, env=env, merge_stderr=True)
    if done.returncode:
        tail = done.text[-TAIL_CHARS:].strip()
        raise OrchestrError(
            f"worktree setup: {' '.join(argv)} ended with {done.returncode}: {tail}",
            hint="try it in the project, or change [worktree] setup in .agentorchestr/config.toml",
        )


def allocate_ports(names: tuple[str, ...]) -> dict[str, str]:
    """A free TCP port on 127.0.0.1 for each name, no two alike."""
    with contextlib.ExitStack() as held:
        ports = {}
        for name in names:
            listener = held.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports[name] = str(listener.getsockname()[1])
    return ports


def propose_setup(repo: Repository) -> WorktreeSetup:
    """Propose what fresh worktrees of *repo* will lack: ignored dependencies and local settings.

    Dependencies are linked (shared with the person's tree), settings copied. Only what git ignores
    is proposed, so nothing tracked is hidden and nothing new is committed.
    """
    there = [name for name in (*USUALLY_LINKED, *USUALLY_COPIED) if (repo.root / name).exists()]
    if not there:
        return WorktreeSetup()
    listing = b"".join(os.fsencode(name) + b"\0" for name in there)
    # check-ignore, alone among git's commands, refuses to take paths literally.
    plain = {"GIT_LITERAL_PATHSPECS": "0"}
    answer = run_git(repo.root, "check-ignore", "-z", "--stdin", stdin=listing, accept=(0, 1), env=plain)
    ignored = {record.decode() for record in answer.records}
    return WorktreeSetup(
        copy=tuple(name for name in USUALLY_COPIED if name in ignored),
        link=tuple(name for name in USUALLY_LINKED if name in ignored),
    )
