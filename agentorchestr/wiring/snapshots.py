"""Find the repository whose snapshots are meant."""

from pathlib import Path

from agentorchestr.errors import UsageError
from agentorchestr.paths import Paths
from agentorchestr.wiring.reading import list_sessions
from agentorchestr.worktree.repository import find_repository
from agentorchestr.worktree.restoring import SavedStates


def saved_states(paths: Paths, project: Path, session: str) -> SavedStates:
    """The snapshots of the repository of *session* (an id or its beginning), else of *project*'s.

    Snapshots outlive their session's own files, so an unknown session is looked for in *project*.
    Raises ``UsageError`` when there is no repository.
    """
    known = [view for view in list_sessions(paths) if session and view.session_id.startswith(session)]
    if len({view.created.repository for view in known}) == 1:
        return SavedStates(find_repository(Path(known[0].created.repository)))
    try:
        return SavedStates(find_repository(project))
    except UsageError as exc:
        raise UsageError(str(exc), hint="name a session, or the repository with --project DIR") from exc
