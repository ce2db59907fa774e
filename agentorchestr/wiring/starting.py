"""Start a session: everything checked, its folder made, its supervisor up."""

import json
import os
import secrets
import sys
from contextlib import ExitStack
from pathlib import Path

from agentorchestr.clock import until
from agentorchestr.errors import SupervisorUnreachable
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import SessionCreated
from agentorchestr.model.request import SessionRequest
from agentorchestr.model.view import tmux_session_name
from agentorchestr.paths import Paths, ensure_private, write_private
from agentorchestr.process import MARK_VARIABLE
from agentorchestr.supervisor.principals import TokenBook
from agentorchestr.supervisor.spawner import install_command, shim_argv
from agentorchestr.tmux import panes
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.control import CONTROL_FILE
from agentorchestr.wiring.locking import session_lock
from agentorchestr.worktree import gateway
from agentorchestr.worktree.repository import (
    Repository,
    commit_dirty,
    find_repository,
    init_repository,
    resolve_base,
)

ID_BYTES = 3
START_LIMIT_S = 30.0
RESTARTS = 5
RESTART_WINDOW_S = 60
ENVIRONMENT_FILE = "environment.json"
SUPERVISOR_WINDOW = "supervisor"


def start_session(request: SessionRequest, paths: Paths) -> str:
    """Create the session and bring its supervisor up; returns the session's id.

    Raises ``SupervisorUnreachable`` with what the supervisor said when it does not come up.
    """
    repository = open_repository(request)
    session_id = new_session(request, repository, paths)
    with session_lock(paths, session_id):
        bring_up(TmuxServer(paths.tmux_socket), session_id, paths, request.environment)
    return session_id


def bring_up(server: TmuxServer, session_id: str, paths: Paths, env: dict[str, str]) -> None:
    """Start the supervisor and wait until it answers. Raises ``SupervisorUnreachable`` with what it said."""
    pane_id = _open_supervisor(server, session_id, paths, env)
    run_folder = paths.session_run(session_id)
    if not until((run_folder / CONTROL_FILE).exists, within_s=START_LIMIT_S, every_s=0.02):
        said = "\n".join(panes.capture(server, pane_id, tail_lines=20)).strip()
        raise SupervisorUnreachable(
            f"the supervisor of {session_id} did not come up: {said[-600:] or 'it said nothing'}",
            hint=f"see {paths.session(session_id) / 'supervisor.log'}",
        )


def open_repository(request: SessionRequest) -> Repository:
    """The project's repository; made now when the person asked for that."""
    return init_repository(request.project) if request.git_init else find_repository(request.project)


def new_session(request: SessionRequest, repository: Repository, paths: Paths) -> str:
    """Write down what was asked: the session exists from here on, though nothing runs yet."""
    session_id = _free_id(paths)
    base_branch, base_commit = resolve_base(repository, request.base)
    if request.include_dirty:
        base_commit = commit_dirty(
            repository, base_commit=base_commit, message="Uncommitted changes taken along by --include-dirty"
        )
    for folder in (paths.state, paths.run, paths.sessions):
        ensure_private(folder)
    created = _created(request, repository, session_id, base_branch=base_branch, base_commit=base_commit)
    with ExitStack() as undo:
        # A session that could not be written down leaves neither its keys nor an empty journal.
        folder = _folder(paths.session(session_id), undo)
        run_folder = _folder(paths.session_run(session_id), undo)
        TokenBook.create(folder, session_id)
        install_command(folder / "bin")
        write_private(run_folder / ENVIRONMENT_FILE, json.dumps(request.environment))
        with Journal.create(folder) as journal:
            journal.append([created])
        undo.pop_all()
    return session_id


def _folder(folder: Path, undo: ExitStack) -> Path:
    """Make a private folder of a new session, to be removed again by *undo*."""
    undo.callback(gateway.remove_folder, folder, inside=folder.parent)
    return ensure_private(folder)


def _created(
    request: SessionRequest, repository: Repository, session_id: str, *, base_branch: str, base_commit: str
) -> SessionCreated:
    return SessionCreated(
        session_id=session_id,
        goal=request.goal,
        project=str(request.project),
        repository=str(repository.root),
        base_branch=base_branch,
        base_commit=base_commit,
        lead_agent=request.lead_agent,
        worker_agents=request.worker_agents,
        max_workers=request.max_workers,
        checks=request.checks,
        timeout_s=request.timeout_s,
        land=request.land,
        manual=request.manual,
        role=request.role,
        setup=request.setup,
        broker=request.broker,
        bus_compat=request.bus_compat,
    )


def _free_id(paths: Paths) -> str:
    while True:
        session_id = secrets.token_hex(ID_BYTES)
        if not paths.session(session_id).exists():
            return session_id


def _open_supervisor(server: TmuxServer, session_id: str, paths: Paths, env: dict[str, str]) -> str:
    """Start the supervisor in its own window, to be started again by tmux when it dies."""
    run_folder = paths.session_run(session_id)
    argv = (sys.executable, "-P", "-m", "agentorchestr", "supervise", session_id)
    launch = {"env": supervisor_environment(env, session_id), "cwd": str(paths.session(session_id))}
    file = write_private(run_folder / "supervisor.json", json.dumps({**launch, "argv": argv}))
    write_private(run_folder / "give-up.json", json.dumps({**launch, "argv": (*argv, "--give-up")}))
    name = tmux_session_name(session_id)
    sentinel = shim_argv("sentinel.py", *shim_argv("launcher.py", str(file)))
    pane_id = _take_pane(server, name, sentinel, cwd=paths.session(session_id))
    revive = shim_argv("revive.py", str(run_folder), server.program, str(paths.tmux_socket), pane_id)
    server.on_pane_died(name, shim_argv("pane_died.py", str(run_folder / "spool")))
    server.on_pane_died(name, (*revive, str(RESTARTS), str(RESTART_WINDOW_S)), pane_id=pane_id)
    return pane_id


def _take_pane(server: TmuxServer, name: str, argv: tuple[str, ...], *, cwd: Path) -> str:
    """Run *argv* in the supervisor's pane: the one that is there, with the agents beside it, or a new one."""
    rows = panes.list_panes(server, name) if server.has_session(name) else ()
    ours = [row.pane_id for row in rows if not row.team]
    if ours:
        panes.respawn_pane(server, ours[0], argv)
        return ours[0]
    if rows:
        return server.new_window(name, window=SUPERVISOR_WINDOW, argv=argv, cwd=cwd)
    return server.new_session(name, window=SUPERVISOR_WINDOW, argv=argv, cwd=cwd)


def supervisor_environment(env: dict[str, str], session_id: str) -> dict[str, str]:
    """The supervisor's own environment: the person's, marked, and without what ties it to a terminal."""
    dropped = {"TMUX", "TMUX_PANE", "PYTHONPATH"}
    kept = {key: value for key, value in env.items() if key not in dropped}
    path = os.environ.get("PYTHONPATH")
    return {**kept, **({"PYTHONPATH": path} if path else {}), MARK_VARIABLE: f"{session_id}/supervisor"}
