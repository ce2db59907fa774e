"""Ctrl-C while a session is followed: once pauses it, twice stops it. Neither loses anything."""

from agentorchestr.cli.pausing import pause
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.stopping import stop
from agentorchestr.model.view import SessionView


def interrupted(shell: Shell, screen: Screen, session_id: str) -> SessionView:
    """Pause the session, or stop it when the person presses Ctrl-C again meanwhile; its last view.

    A third Ctrl-C ends the command; the session comes to its end without it.
    """
    screen.note(f"pausing session {session_id}; press Ctrl-C again to stop it for good")
    try:
        return pause(shell, session_id)
    except KeyboardInterrupt:
        screen.note(f"stopping session {session_id}; its branches and unsaved work are kept")
        return stop(shell, session_id)
