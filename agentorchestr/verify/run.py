"""Run the project's checks in a worktree and keep the evidence."""

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentorchestr.errors import MissingDependency
from agentorchestr.model.verdict import CheckCommand, CheckRun
from agentorchestr.process import MARK_VARIABLE, run_watched
from agentorchestr.verify.counts import read_counts
from agentorchestr.verify.detect import DETECTED

TAIL_BYTES = 8000
EXIT_NOT_FOUND = 127
_OURS = "AGENTORCHESTR_"
# What an agent's or a person's session sets would change what the checks see.
_DROPPED = frozenset({"TMUX", "TMUX_PANE", "CLAUDECODE", "PYTHONPATH", "PYTEST_ADDOPTS", "VIRTUAL_ENV"})


def run_checks(
    commands: Sequence[CheckCommand],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
) -> tuple[CheckRun, ...]:
    """Run all *commands* in the tree at *cwd*, one after another; a red one does not stop the rest.

    *timeout_s* is for each. Whatever a command leaves running is ended. Nothing is raised for a command
    that cannot be run: its exit code is 127 then, and its tail says why.
    """
    return tuple(_run_one(command, cwd=cwd, env=env, timeout_s=timeout_s) for command in commands)


def _run_one(command: CheckCommand, *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> CheckRun:
    cwd = cwd / command.place
    argv = _with_own_environment(command.argv, cwd)
    owner = env.get(MARK_VARIABLE, "checks:")
    try:
        ended = run_watched(
            argv,
            timeout_s=timeout_s,
            cwd=cwd,
            env=check_environment(env, command=command, cwd=cwd),
            mark=f"{owner}/check-{uuid.uuid4().hex}",
            keep_bytes=TAIL_BYTES,
        )
    except MissingDependency as exc:
        return CheckRun(command.shown, EXIT_NOT_FOUND, 0.0, "", str(exc))
    tail = ended.tail.decode(errors="replace")
    # Decoding with replacement can grow the text: three bytes stand for one that was not UTF-8.
    while len(tail.encode()) > TAIL_BYTES:
        tail = tail[(len(tail.encode()) - TAIL_BYTES + 2) // 3 :]
    return CheckRun(
        command.shown, ended.returncode, ended.took_s, read_counts(tail), tail, timed_out=ended.timed_out
    )


def check_environment(env: Mapping[str, str], *, command: CheckCommand, cwd: Path) -> dict[str, str]:
    """Give the environment of one check: *env* without our tokens and without what would mislead it.

    A detected Python command finds the packages of *cwd* first: an editable install would otherwise
    make it test the person's own tree.
    """
    kept = {k: v for k, v in env.items() if not k.startswith(_OURS) and k not in _DROPPED}
    kept.update(CI=kept.get("CI", "1"), PYTHONDONTWRITEBYTECODE="1", NO_COLOR="1")
    if command.source in (f"{DETECTED}pytest", f"{DETECTED}unittest"):
        places = [cwd / "src", cwd] if (cwd / "src").is_dir() else [cwd]
        kept["PYTHONPATH"] = os.pathsep.join(str(place) for place in places)
    return kept


def _with_own_environment(argv: Sequence[str], cwd: Path) -> tuple[str, ...]:
    """Prefer the virtual environment that was set up in *cwd* over the one of the person's tree."""
    program = Path(argv[0])
    own = cwd.joinpath(*program.parts[-3:])
    if program.is_absolute() and program.parts[-2:-1] == ("bin",) and own.exists():
        return (str(own), *argv[1:])
    return tuple(argv)
