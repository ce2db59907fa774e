"""Reach a living supervisor, or tell that there is none."""

import json
from pathlib import Path

from agentorchestr.errors import SupervisorUnreachable
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import Journal
from agentorchestr.ledger import Ledger
from agentorchestr.model.facts import Fact, GoalMarked, SessionEnded, StopAsked
from agentorchestr.model.mail import Address
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView, tmux_session_name
from agentorchestr.paths import Paths, ensure_private, write_private
from agentorchestr.process import start_time
from agentorchestr.supervisor.post import ORG
from agentorchestr.supervisor.principals import TokenBook
from agentorchestr.supervisor.reviving import may_resume
from agentorchestr.tmux.server import TmuxServer
from agentorchestr.wiring.carrying import close_carrier
from agentorchestr.wiring.reading import read_session
from agentorchestr.wiring.saving import save_worktrees
from agentorchestr.worktree import gateway

CONTROL_FILE = "control.json"
FINISHED_FILE = "finished"


def write_control(folder: Path, *, url: str, token: str) -> None:
    """Leave the address and token of a supervisor for this user's own commands."""
    write_private(folder / CONTROL_FILE, json.dumps({"url": url, "token": token}))


def control_endpoint(paths: Paths, session_id: str) -> tuple[str, str] | None:
    """Address and token of the session's supervisor; None when none runs."""
    if not supervisor_alive(paths, session_id):
        return None
    try:
        content = json.loads((paths.session_run(session_id) / CONTROL_FILE).read_text())
    except (OSError, ValueError):
        return None
    return str(content["url"]), str(content["token"])


def supervisor_alive(paths: Paths, session_id: str) -> bool:
    """Whether the very process that last took the session over still runs."""
    return alive(read_session(paths, session_id))


def alive(view: SessionView) -> bool:
    """The same, for a view that was read already."""
    started = start_time(view.supervisor_pid) if view.supervisor_pid else None
    # The pid alone proves nothing: it may be somebody else's by now.
    return started is not None and abs(started - view.supervisor_started) < 1.0


def stop_session(paths: Paths, session_id: str) -> SessionView:
    """Take away what is left of a session: agents, worktrees, the kept tmux session. Branches stay.

    A living supervisor has to be asked first, by its control address: this is for after it, and for when it
    does not answer. Raises ``SupervisorUnreachable`` while one still runs.
    """
    view = read_session(paths, session_id)
    if view.outcome is None and alive(view):
        raise SupervisorUnreachable(
            f"the supervisor of {session_id} still runs", hint=f"agentorchestr stop {session_id}"
        )
    if may_resume(view.outcome):
        view = _end_without_supervisor(paths, session_id)
    TmuxServer(paths.tmux_socket).end_session(tmux_session_name(session_id))
    if not alive(view):
        # One that still runs is past the end of its session and does this itself.
        forget_secrets(paths.session_run(session_id))
        TokenBook.forget(paths.session(session_id))
    return view


def _end_without_supervisor(paths: Paths, session_id: str) -> SessionView:
    """End a session whose supervisor is gone, as that one would have: save first, then remove."""
    # Marked before anything else, so that tmux does not bring a supervisor back meanwhile.
    (ensure_private(paths.session_run(session_id)) / FINISHED_FILE).touch(mode=0o600)
    with Journal.take_over(paths.session(session_id)) as journal:
        view = derive(journal.facts())
        Ledger(paths.session_run(session_id), session_id).end()
        kept = save_worktrees(paths, view)
        members = tuple(Address(ORG, session_id, worker_id) for worker_id in view.workers)
        close_carrier(paths, session_id, members, private=not view.created.broker)
        paused = view.outcome is Outcome.PAUSED
        summary = "stopped while it was paused" if paused else "stopped; its supervisor was gone"
        marked = None if view.goal_marked is Outcome.PAUSED else view.goal_marked
        marks: list[Fact] = [] if marked else [StopAsked("person"), GoalMarked(Outcome.CANCELLED, summary)]
        journal.append([*kept, *marks, SessionEnded(marked or Outcome.CANCELLED, summary)])
        return derive(journal.facts())


def forget_secrets(run_folder: Path) -> None:
    """Remove what only a living session needs: tokens, environments, the spool."""
    for entry in run_folder.iterdir() if run_folder.is_dir() else ():
        if entry.is_dir():
            gateway.remove_folder(entry, inside=run_folder)
        elif entry.name != FINISHED_FILE:
            entry.unlink()
