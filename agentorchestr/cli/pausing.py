"""Pause a session: ask its supervisor, or do what is left to do without one."""

from agentorchestr.cli.control import Control
from agentorchestr.cli.latest import Latest
from agentorchestr.cli.product import Shell
from agentorchestr.clock import until
from agentorchestr.model.view import SessionView

ENDING_S = 60.0
"""Ending agents and saving large worktrees takes a while."""


def pause(shell: Shell, session_id: str) -> SessionView:
    """Let a living supervisor pause the session; without one, end its agents here.

    A session that is over, or was paused before, is left as it is. Raises ``SupervisorUnreachable`` for a
    supervisor that lives and does not answer.
    """
    latest = Latest(shell, session_id)

    def is_over() -> bool:
        return shell.product.is_finished(latest.read())

    control = Control(shell, session_id)
    try:
        if not is_over() and control.pause():
            until(is_over, within_s=ENDING_S, every_s=0.05)
    finally:
        control.close()
    return shell.product.pause_session(shell.paths, session_id)
