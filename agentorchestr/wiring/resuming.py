"""Let a session go on whose supervisor is gone: after a pause, a crash, or the end of the whole machine."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path

from agentorchestr.clock import until
from agentorchestr.errors import OrchestrError, UsageError
from agentorchestr.journal.store import Journal
from agentorchestr.model.facts import SessionResumed
from agentorchestr.model.resume import Resumable, Resumed
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView, tmux_session_name
from agentorchestr.paths import Paths, ensure_private, write_private
from agentorchestr.process import lives
from agentorchestr.process_table import signal_process
from agentorchestr.supervisor.spawner import install_command
from agentorchestr.tmux import panes
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.control import CONTROL_FILE, FINISHED_FILE, alive
from agentorchestr.wiring.detection import detect
from agentorchestr.wiring.locking import session_lock
from agentorchestr.wiring.reading import CRASH_LOOP_FILE, gave_up, list_sessions, read_session
from agentorchestr.wiring.starting import ENVIRONMENT_FILE, bring_up
from agentorchestr.worktree.repository import find_repository

RESTARTS_FILE = "restarts"
END_S = 5.0
COMING_UP_S = 10.0
"""How long a supervisor that tmux has just started again may take to say so."""
ENDED: dict[Outcome, str] = {
    Outcome.DONE: "its goal is done",
    Outcome.FAILED: "it failed",
    Outcome.UNVERIFIED: "it ended unverified",
    Outcome.CANCELLED: "it was stopped",
}


def resumable(paths: Paths, view: SessionView) -> Resumable:
    """Whether the session can go on now, and why not."""
    if view.outcome in ENDED:
        return Resumable(ok=False, why=ENDED[view.outcome])
    if view.outcome is None and alive(view):
        return Resumable(ok=False, why="it runs")
    if not Path(view.created.project).is_dir():
        return Resumable(ok=False, why=f"its project is gone: {view.created.project}")
    if view.outcome is Outcome.PAUSED:
        return Resumable(ok=True, why=view.end_summary or "it is paused")
    return Resumable(ok=True, why=gave_up(paths, view.session_id) or "its supervisor is gone")


def find_resumable(paths: Paths, project: Path) -> SessionView:
    """The newest session of *project* that runs or can go on.

    Raises ``UsageError`` with the reason of the newest one when there is none.
    """
    here = project.resolve()
    reason = ""
    for view in list_sessions(paths):
        if here != Path(view.created.project) and not here.is_relative_to(view.created.repository):
            continue
        found = resumable(paths, view)
        if found.ok or alive(view):
            return view
        reason = reason or f": the newest, {view.session_id}, cannot go on, {found.why}"
    raise UsageError(
        f"no session of {project} can be resumed{reason}", hint="see them: agentorchestr --list-sessions"
    )


def resume_session(
    paths: Paths, session_id: str, *, env: Mapping[str, str], timeout_s: float | None
) -> Resumed:
    """Give the session a new supervisor, unless one lives or is on its way.

    Agents that live are adopted by it. *env* is what agents that are started again get. Raises ``UsageError``
    when the session cannot go on, ``SupervisorUnreachable`` when the new supervisor does not come up.
    """
    with session_lock(paths, session_id) as ours:
        if not ours:
            return Resumed.ELSEWHERE
        view = read_session(paths, session_id)
        server = TmuxServer(paths.tmux_socket)
        if view.outcome is None and (alive(view) or _comes_up(paths, server, view)):
            if server.has_session(tmux_session_name(session_id)):
                return Resumed.RUNNING
            # It lives, and tmux is gone with all agents: it would pause before long, and we are here now.
            _end_supervisor(read_session(paths, session_id))
            view = read_session(paths, session_id)
        found = resumable(paths, view)
        if not found.ok:
            raise UsageError(f"session {session_id} cannot be resumed: {found.why}", hint=_hint(view))
        _check_there(paths, view, env)
        _begin(paths, view, env, timeout_s=timeout_s)
        bring_up(server, session_id, paths, dict(env))
    return Resumed.STARTED


def _hint(view: SessionView) -> str:
    if view.outcome is None or view.outcome is Outcome.PAUSED:
        return "put it back where it was; its work is on the session's branches"
    return f"look at it: agentorchestr status {view.session_id}; or start a new one with --goal"


def _comes_up(paths: Paths, server: TmuxServer, view: SessionView) -> bool:
    """Whether tmux has started the supervisor again, and it has taken the session over."""
    if (paths.session_run(view.session_id) / CRASH_LOOP_FILE).exists():
        return False
    name = tmux_session_name(view.session_id)
    rows = panes.list_panes(server, name) if paths.tmux_socket.exists() and server.has_session(name) else ()
    if not any(supervisor_pane(row) and not row.dead for row in rows):
        return False
    return until(lambda: alive(read_session(paths, view.session_id)), within_s=COMING_UP_S, every_s=0.05)


def supervisor_pane(row: panes.PaneRow) -> bool:
    """Whether this pane is the supervisor's: the one in a window that was not opened for the team."""
    return not row.team


def _end_supervisor(view: SessionView) -> None:
    for sig in (signal.SIGTERM, signal.SIGKILL):
        signal_process(view.supervisor_pid, view.supervisor_started, sig)
        if until(lambda: not lives(view.supervisor_pid, view.supervisor_started), within_s=END_S):
            return


def _check_there(paths: Paths, view: SessionView, env: Mapping[str, str]) -> None:
    """Look before anything is begun: the repository, and the programs of its agents."""
    created = view.created
    repository = find_repository(Path(created.project))
    if str(repository.root) != created.repository:
        raise UsageError(
            f"{created.project} is in another repository now: {repository.root}, not {created.repository}",
            hint="put it back where it was; the session's branches are in that repository",
        )
    names = tuple(dict.fromkeys(name for name in (created.lead_agent, *created.worker_agents) if name))
    found = {agent.name for agent in detect(paths, env, names)}
    missing = [name for name in names if name not in found]
    if missing:
        raise OrchestrError(f"not installed any more: {', '.join(missing)}", hint="agentorchestr --detect")


def _begin(paths: Paths, view: SessionView, env: Mapping[str, str], *, timeout_s: float | None) -> None:
    """Write down that it goes on, and make anew what a reboot takes away."""
    session_id = view.session_id
    for folder in (paths.run, run_folder := paths.session_run(session_id)):
        ensure_private(folder)
    with Journal.take_over(paths.session(session_id)) as journal:
        journal.append([SessionResumed("person", timeout_s)])
    for name in (FINISHED_FILE, CRASH_LOOP_FILE, RESTARTS_FILE, CONTROL_FILE):
        (run_folder / name).unlink(missing_ok=True)
    install_command(paths.session(session_id) / "bin")
    write_private(run_folder / ENVIRONMENT_FILE, json.dumps(dict(env)))
