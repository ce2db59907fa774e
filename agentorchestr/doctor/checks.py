"""What the doctor looks at. Each check calls what the product itself calls."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agentorchestr.agents.probe import Installed, LoginState
from agentorchestr.agents.spec import AgentSpec
from agentorchestr.doctor.findings import Finding, failed, fine, warning
from agentorchestr.doctor.programs import probe_program
from agentorchestr.errors import OrchestrError
from agentorchestr.paths import Paths, ensure_private, write_private
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.verify.detect import detect_checks
from agentorchestr.worktree.repository import find_repository

TMUX_NEEDED = (3, 0)
GIT_NEEDED = (2, 20)
GIT_WANTED = (2, 38)
MIB = 1024 * 1024
LEAST_FREE_BYTES = 100 * MIB
WANTED_FREE_BYTES = 1024 * MIB

Probe = Callable[[], Sequence[Installed]]
Check = Callable[[], Finding]


def examine(
    paths: Paths,
    env: Mapping[str, str],
    *,
    project: Path,
    catalogue: Mapping[str, AgentSpec],
    probe: Probe,
    more: Sequence[Check] = (),
) -> tuple[Finding, ...]:
    """Look at everything at once, and give the findings in a fixed order; *more* come last."""
    checks: list[Check] = [
        lambda: look_at_tmux(paths, env),
        lambda: look_at_git(env),
        lambda: look_at_agents(probe, catalogue),
        lambda: look_at_folder("state folder", paths.state),
        lambda: look_at_folder("run folder", paths.run),
        lambda: look_at_disk(paths.state),
        lambda: look_at_broker(env),
        lambda: look_at_project(project),
        *more,
    ]
    with ThreadPoolExecutor(len(checks)) as pool:
        return tuple(pool.map(_answer, checks))


def _answer(check: Check) -> Finding:
    try:
        return check()
    except OrchestrError as exc:
        return failed("agentorchestr", str(exc), fix=exc.hint or "agentorchestr --doctor")


def look_at_tmux(paths: Paths, env: Mapping[str, str]) -> Finding:
    """Start a tmux server on a socket of ours, open a session on it, and end it."""
    name = "tmux"
    found = probe_program(name, env=env)
    if not found.path:
        return failed(name, found.problem, fix=_install(name))
    if found.number < TMUX_NEEDED:
        return failed(name, f"{found.version or 'unknown version'}: 3.0 is needed", fix=_install(name))
    socket = paths.tmux_socket
    # The path is no longer than the real one's, whose length is what counts.
    probe = ensure_private(socket.parent) / f".d{os.getpid()}"
    server = TmuxServer(probe, program=found.path, env=env)
    try:
        server.new_session("doctor", window="doctor", argv=["sleep", "60"], cwd=probe.parent)
        server.run("kill-server")
    except OrchestrError as exc:
        return failed(name, f"{found.version} does not open a session: {exc}", fix=exc.hint or "tmux -V")
    finally:
        probe.unlink(missing_ok=True)
    return fine(name, f"{found.version}, opens sessions on our own socket {socket}")


def look_at_git(env: Mapping[str, str]) -> Finding:
    """Ask git for its version."""
    name = "git"
    found = probe_program(name, env=env)
    if not found.path:
        return failed(name, found.problem, fix=_install(name))
    if found.number < GIT_NEEDED:
        return failed(name, f"{found.version}: 2.20 is needed", fix=_install(name))
    if found.number < GIT_WANTED:
        return warning(name, f"{found.version}: merges are slower before 2.38", fix=_install(name))
    return fine(name, found.version)


def look_at_agents(probe: Probe, catalogue: Mapping[str, AgentSpec]) -> Finding:
    """Ask every agent that is installed; the practice agent does not count, since no goal takes it."""
    name = "agents"
    usable = [one for one in probe() if not catalogue[one.name].builtin and not one.broken]
    ready = [one.name for one in usable if one.login is LoginState.READY]
    unknown = [one.name for one in usable if one.login is LoginState.UNKNOWN]
    out = [one.name for one in usable if one.login is LoginState.NOT_LOGGED_IN]
    if ready:
        return fine(
            name, f"ready: {', '.join(ready)}" + (f"; not logged in: {', '.join(out)}" if out else "")
        )
    if unknown:
        text = f"{', '.join(unknown)} installed; whether somebody is logged in is not known"
        return warning(name, text, fix=f"start {unknown[0]} once and see")
    if out:
        hint = catalogue[out[0]].login.hint or f"start {out[0]} once and log in"
        return failed(name, f"installed, nobody logged in: {', '.join(out)}", fix=hint)
    installs = [spec.install for spec in catalogue.values() if spec.proven and spec.install]
    return failed(name, "none is installed (agentorchestr demo needs none)", fix=" or ".join(installs))


def look_at_folder(name: str, folder: Path) -> Finding:
    """Make the folder private as a session does, and write a file into it."""
    try:
        probe = write_private(ensure_private(folder) / ".doctor", "ok\n")
        probe.unlink()
    except OSError as exc:
        return failed(name, f"{folder} cannot be written: {exc.strerror}", fix=f"ls -ld {folder}")
    return fine(name, f"{folder}, private and writable")


def look_at_disk(folder: Path) -> Finding:
    """Look at the space left where worktrees go."""
    name = "disk space"
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    text = f"{free // MIB:,} MiB free at {there}"
    if free < LEAST_FREE_BYTES:
        return failed(name, text, fix="free some space, or set XDG_STATE_HOME to another disk")
    if free < WANTED_FREE_BYTES:
        return warning(name, text, fix="free some space: each worker has a worktree of its own")
    return fine(name, text)


def look_at_broker(env: Mapping[str, str]) -> Finding:
    """Look for the MQTT broker; a goal on this machine does without."""
    found = probe_program("mosquitto", env=env)
    if not found.path:
        return warning("mosquitto", "not installed: no talk with other machines", fix=_install("mosquitto"))
    return fine("mosquitto", f"{found.version or 'unknown version'} at {found.path}")


def look_at_project(project: Path) -> Finding:
    """Look whether a goal could start in this directory, and whether its result could be checked."""
    name = "project"
    try:
        repository = find_repository(project)
        checks = detect_checks(repository.root)
    except OrchestrError as exc:
        return failed(name, str(exc), fix=exc.hint)
    if not checks:
        return warning(name, f"{repository.root} has no checks we know", fix='agentorchestr --checks "CMD" …')
    return fine(name, f"{repository.root}, checked by: {', '.join(check.shown for check in checks)}")


def _install(program: str) -> str:
    return f"apt-get install {program}, or: brew install {program}"
