"""Bring the person to a session's tmux window, without one tmux inside another."""

import os
from collections.abc import Mapping
from pathlib import Path

from agentorchestr.cli.product import Shell
from agentorchestr.errors import TmuxError
from agentorchestr.process import run, run_foreground

NEW_WINDOW_LIMIT_S = 5.0


def inside_tmux(env: Mapping[str, str]) -> Path | None:
    """Give the socket of the tmux this was typed in; None outside of one."""
    socket = env.get("TMUX", "").partition(",")[0]
    return Path(socket) if socket else None


def attach(shell: Shell, session_id: str) -> bool:
    """Show the session's window; True when this returns only after the person left it.

    Inside tmux a new window of the person's own server shows it (or, in a pane of ours, this client
    goes over), and False comes back at once.

    Raises ``TmuxError`` when tmux refuses.
    """
    words = shell.product.attach_argv(shell.paths, session_id)
    outer = inside_tmux(shell.env)
    if outer is None:
        _check(run_foreground(words, env=shell.env), session_id)
        return True
    if os.fspath(outer) == os.fspath(shell.paths.tmux_socket):
        argv = ["tmux", "-S", str(outer), "switch-client", "-t", f"=ao-{session_id}"]
    else:
        # TMUX unset: tmux refuses to attach from within itself otherwise.
        argv = ["tmux", "-S", str(outer), "new-window", "-n", f"ao-{session_id}", "env", "-u", "TMUX", *words]
    ended = run(argv, timeout_s=NEW_WINDOW_LIMIT_S, env=shell.env)
    if ended.returncode != 0:
        raise TmuxError(
            f"tmux could not show session {session_id}: {ended.error_text}",
            hint=f"it goes on; look with: agentorchestr status {session_id}",
        )
    return False


def _check(exit_code: int, session_id: str) -> None:
    if exit_code != 0:
        raise TmuxError(
            f"tmux could not attach to session {session_id} (exit {exit_code})",
            hint=f"look with: agentorchestr status {session_id}",
        )
