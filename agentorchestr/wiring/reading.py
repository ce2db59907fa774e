"""Read sessions from their journals; none of this needs a supervisor."""

import json
import logging
from collections.abc import Collection, Sequence
from pathlib import Path

from agentorchestr.errors import JournalError, UsageError
from agentorchestr.journal.export import read_export, write_export
from agentorchestr.journal.reducer import derive
from agentorchestr.journal.store import FILE_NAME, Journal
from agentorchestr.model.facts import Recorded
from agentorchestr.model.view import SessionView, tmux_session_name
from agentorchestr.paths import Paths
from agentorchestr.process import start_time

CRASH_LOOP_FILE = "crash-loop"

logger = logging.getLogger(__name__)


def read_session(paths: Paths, session_id: str) -> SessionView:
    """One session as its journal tells it. Raises ``JournalError`` when there is none or it is damaged."""
    with Journal.open_read(paths.session(session_id)) as journal:
        return derive(journal.facts())


def read_facts(paths: Paths, session_id: str, after: int) -> Sequence[Recorded]:
    """The facts of a session above *after*, oldest first."""
    with Journal.open_read(paths.session(session_id)) as journal:
        return journal.facts(after=after)


def read_exported(file: Path) -> tuple[SessionView, Sequence[Recorded]]:
    """The session in an exported journal, derived anew, and its facts. Raises ``JournalError``."""
    facts = read_export(file)
    return derive(facts), facts


def export_session(paths: Paths, session_id: str, file: Path) -> int:
    """Write the journal of a finished session to the new *file*; how many facts.

    Raises ``UsageError`` while the session is not over.
    """
    facts = read_facts(paths, session_id, 0)
    if derive(facts).outcome is None:
        raise UsageError(
            f"session {session_id} is not over; its journal still grows",
            hint=f"agentorchestr stop {session_id}, or look: agentorchestr logs {session_id} --json",
        )
    write_export(file, facts)
    return len(facts)


def list_sessions(paths: Paths) -> tuple[SessionView, ...]:
    """All sessions of this user, newest first, without those of ``unreadable_sessions``."""
    found = []
    for file in paths.sessions.glob(f"*/{FILE_NAME}"):
        try:
            found.append(read_session(paths, file.parent.name))
        except JournalError as exc:
            # Whoever lists sessions says it in one line: see unreadable_sessions.
            logger.debug("session not readable", extra={"session_id": file.parent.name, "detail": str(exc)})
    return tuple(sorted(found, key=lambda view: view.created_at, reverse=True))


def unreadable_sessions(paths: Paths, listed: Collection[str]) -> tuple[str, ...]:
    """The ids of sessions that are there but not among those *listed*: damaged, or of a newer version."""
    names = (file.parent.name for file in paths.sessions.glob(f"*/{FILE_NAME}"))
    return tuple(sorted(name for name in names if name not in listed))


def find_session(paths: Paths, wanted: str, project: Path) -> SessionView:
    """The session whose id begins with *wanted*; without it the newest of *project*.

    Raises ``UsageError`` when there is none, or more than one.
    """
    sessions = list_sessions(paths)
    if wanted:
        matching = [view for view in sessions if view.session_id.startswith(wanted)]
        exact = [view for view in matching if view.session_id == wanted]
        if len(exact or matching) == 1:
            return (exact or matching)[0]
        problem = "no session" if not matching else "more than one session"
        raise UsageError(f"{problem} begins with {wanted!r}", hint="agentorchestr --list-sessions")
    here = project.resolve()
    for view in sessions:
        if here == Path(view.created.project) or here.is_relative_to(view.created.repository):
            return view
    raise UsageError(f"no session was started in {project}", hint="agentorchestr --list-sessions")


def session_lock(paths: Paths, session_id: str) -> Path:
    """The lock that whoever works on a session without a supervisor holds meanwhile."""
    return paths.session(session_id) / "lock"


def is_finished(view: SessionView) -> bool:
    """Whether the session came to its end."""
    return view.outcome is not None


def looked_after(view: SessionView) -> bool:
    """Whether the very process that last took the session over still runs."""
    started = start_time(view.supervisor_pid) if view.supervisor_pid else None
    # The pid alone proves nothing: it may be somebody else's by now.
    return started is not None and abs(started - view.supervisor_started) < 1.0


def gave_up(paths: Paths, session_id: str) -> str:
    """Why its supervisor is not started again; empty when it would be."""
    try:
        told = json.loads((paths.session_run(session_id) / CRASH_LOOP_FILE).read_text())
        log = paths.session(session_id) / "supervisor.log"
        return f"its supervisor gave up after {int(told['restarts'])} restarts: see {log}"
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def attach_argv(paths: Paths, session_id: str) -> list[str]:
    """The command that shows a session's window in this terminal."""
    return ["tmux", "-S", str(paths.tmux_socket), "attach-session", "-t", f"={tmux_session_name(session_id)}"]
