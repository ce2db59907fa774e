"""Pause a session that has no supervisor: end its agents, leave everything else as it is."""

import logging

from agentorchestr.errors import SupervisorUnreachable, UsageError
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import Journal
from agentorchestr.ledger import Ledger
from agentorchestr.log import log_to_file
from agentorchestr.model.facts import GoalMarked, SessionEnded
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import SessionView
from agentorchestr.paths import Paths, ensure_private
from agentorchestr.process import ask_to_end
from agentorchestr.supervisor.spawner import living
from agentorchestr.wiring.carrying import close_carrier
from agentorchestr.wiring.control import FINISHED_FILE, alive, forget_secrets
from agentorchestr.wiring.locking import session_lock
from agentorchestr.wiring.reading import gave_up, read_session

logger = logging.getLogger(__name__)


def pause_session(paths: Paths, session_id: str) -> SessionView:
    """End what is left of the agents, and record that the session is paused.

    A living supervisor has to be asked first, by its control address. Raises ``SupervisorUnreachable`` while
    one still runs, ``UsageError`` while another command starts, resumes or ends the session.
    """
    view = read_session(paths, session_id)
    if view.outcome is not None:
        return view
    if alive(view):
        raise SupervisorUnreachable(
            f"the supervisor of {session_id} still runs", hint=f"agentorchestr pause {session_id}"
        )
    with session_lock(paths, session_id) as ours:
        if not ours:
            raise UsageError(
                f"another command is busy with session {session_id}", hint="try again in a moment"
            )
        return end_agents(paths, session_id, why="paused; its supervisor was gone")


def give_up_session(paths: Paths, session_id: str) -> SessionView:
    """End the agents of a session whose supervisor fell too often: none shall work on unnoticed."""
    log_to_file(paths.session(session_id) / "supervisor.log")
    logger.error("the supervisor fell too often", extra={"session_id": session_id})
    why = gave_up(paths, session_id) or "its supervisor gave up"
    view = read_session(paths, session_id)
    return end_agents(paths, session_id, why=why) if view.outcome is None and not alive(view) else view


def end_agents(paths: Paths, session_id: str, *, why: str) -> SessionView:
    """End every agent of the session and record the pause, in the place of its supervisor."""
    # Marked before anything else, so that tmux does not bring a supervisor back meanwhile.
    (ensure_private(paths.session_run(session_id)) / FINISHED_FILE).touch(mode=0o600)
    ask_to_end(living(read_session(paths, session_id)))
    Ledger(paths.session_run(session_id), session_id).end()
    with Journal.take_over(paths.session(session_id)) as journal:
        view = derive(journal.facts())
        close_carrier(paths, session_id, (), private=not view.created.broker)
        # A goal that was marked, or a stop, is carried out by whoever resumes it.
        marks = [GoalMarked(Outcome.PAUSED, why)] if view.goal_marked is None else []
        journal.append([*marks, SessionEnded(Outcome.PAUSED, why)])
        view = derive(journal.facts())
    forget_secrets(paths.session_run(session_id))
    return view
