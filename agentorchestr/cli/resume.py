"""``agentorchestr --resume``: go on with a session, and show it as if it had just been started."""

from agentorchestr.cli.common import wanted_session
from agentorchestr.cli.inputs import find_project, read_duration
from agentorchestr.cli.options import Options
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.requesting import need_programs
from agentorchestr.cli.start import choose_attach, watch
from agentorchestr.clock import until
from agentorchestr.errors import SupervisorUnreachable, UsageError
from agentorchestr.model.resume import Resumed
from agentorchestr.model.view import SessionView

ELSEWHERE_S = 60.0
SAID = {
    Resumed.STARTED: "goes on",
    Resumed.RUNNING: "runs already: following it",
    Resumed.ELSEWHERE: "is being started or resumed by another command: following it",
}


def resume(shell: Shell, options: Options) -> int:
    """Do what ``--resume`` asks for, and give the exit code of the session."""
    screen = Screen(as_json=shell.as_json)
    wants_attach = choose_attach(shell, asked=options.attach)
    timeout_s = read_duration(options.timeout) if options.timeout else None
    need_programs(shell, tmux=True)
    view = _wanted(shell, options.resume or "")
    session_id = view.session_id
    how = _go_on(shell, view, timeout_s)
    screen.line(f"session {session_id} {SAID[how]}; watch it with: agentorchestr attach {session_id}")
    if how is not Resumed.STARTED and timeout_s is not None:
        screen.note("--timeout was left out: the session keeps the limit it has")
    if how is Resumed.ELSEWHERE:
        _wait_for_the_other(shell, session_id)
    return watch(shell, screen, session_id, wants_attach=wants_attach)


def _wanted(shell: Shell, session_id: str) -> SessionView:
    if session_id:
        return wanted_session(shell, session_id)
    return shell.product.find_resumable(shell.paths, find_project(shell.project, cwd=shell.cwd))


def _go_on(shell: Shell, view: SessionView, timeout_s: float | None) -> Resumed:
    ran = shell.product.looked_after(view)
    try:
        return shell.product.resume_session(shell.paths, view.session_id, env=shell.env, timeout_s=timeout_s)
    except UsageError:
        # It came to its end between the two looks: its report is what the person wants.
        if ran and shell.product.is_finished(shell.product.read_session(shell.paths, view.session_id)):
            return Resumed.RUNNING
        raise


def _wait_for_the_other(shell: Shell, session_id: str) -> None:
    """Wait until the other command has brought a supervisor up: before that, the last end still stands."""
    alive = shell.product.supervisor_alive
    if not until(lambda: alive(shell.paths, session_id), within_s=ELSEWHERE_S, every_s=0.1):
        raise SupervisorUnreachable(
            f"the other command did not bring session {session_id} up",
            hint=f"try again: agentorchestr --resume {session_id}",
        )
