"""Stop a session: ask its supervisor, then take away what is left."""

from agentorchestr.cli.control import Control
from agentorchestr.cli.latest import Latest
from agentorchestr.cli.product import Shell
from agentorchestr.clock import until
from agentorchestr.model.view import SessionView

ENDING_S = 60.0
"""Saving a large worktree takes a while."""


def stop(shell: Shell, session_id: str) -> SessionView:
    """Let a living supervisor end the session properly, then take away what is left of it.

    Raises ``SupervisorUnreachable`` for one that lives and does not answer.
    """
    latest = Latest(shell, session_id)

    def is_over() -> bool:
        return shell.product.is_finished(latest.read())

    control = Control(shell, session_id)
    try:
        if not is_over() and control.stop():
            until(is_over, within_s=ENDING_S, every_s=0.05)
    finally:
        control.close()
    return shell.product.stop_session(shell.paths, session_id)
