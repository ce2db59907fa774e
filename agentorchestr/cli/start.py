"""Start a session, show how it goes, and end with its report and exit code."""

from shutil import which

from agentorchestr.cli.attaching import attach
from agentorchestr.cli.follow import follow
from agentorchestr.cli.interrupting import interrupted
from agentorchestr.cli.options import Options
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.report import report_lines
from agentorchestr.cli.requesting import build_request
from agentorchestr.cli.shapes import report_shape
from agentorchestr.clock import until
from agentorchestr.config.user import load_user_config
from agentorchestr.errors import TmuxError, UsageError
from agentorchestr.model.request import SessionRequest
from agentorchestr.model.states import EXIT_INTERRUPTED
from agentorchestr.model.view import SessionView

ENDING_S = 1.0


def start(shell: Shell, options: Options) -> int:
    """Do what ``--goal`` and its kin ask for, and give the exit code."""
    screen = Screen(as_json=shell.as_json)
    wants_attach = choose_attach(shell, asked=options.attach)
    request = build_request(shell, screen, options)
    if request.manual and which("tmux", path=shell.env.get("PATH")) is None:
        return run_without_tmux(shell, screen, request)
    return run_session(shell, screen, request, wants_attach=wants_attach)


def choose_attach(shell: Shell, *, asked: bool | None) -> bool:
    """Say whether to show the tmux window: as asked, as the person's settings say, else on a terminal.

    Raises ``UsageError`` when it was asked for and cannot be.
    """
    possible = shell.on_terminal and not shell.as_json
    if asked and not possible:
        raise UsageError(
            "--attach needs a terminal" + (" and cannot go with --json" if shell.as_json else ""),
            hint="leave --attach out; later: agentorchestr attach",
        )
    if asked is None:
        asked = load_user_config(shell.paths.config).attach
    return possible if asked is None else asked and possible


def run_session(shell: Shell, screen: Screen, request: SessionRequest, *, wants_attach: bool) -> int:
    """Run a session to its end, or to the moment the person looks away."""
    session_id = shell.product.start_session(request, shell.paths)
    screen.line(f"session {session_id} started; watch it with: agentorchestr attach {session_id}")
    return watch(shell, screen, session_id, wants_attach=wants_attach)


def watch(shell: Shell, screen: Screen, session_id: str, *, wants_attach: bool) -> int:
    """Show a session that runs, to its end; Ctrl-C pauses it, a second one stops it."""
    if wants_attach and _attach(shell, screen, session_id) and not _is_over(shell, session_id):
        return _look_away(screen, session_id, "detached")
    try:
        view = follow(shell, screen, session_id)
    except KeyboardInterrupt:
        view = interrupted(shell, screen, session_id)
    return show_report(screen, view)


def run_without_tmux(shell: Shell, screen: Screen, request: SessionRequest) -> int:
    """Run a manual session as a plain child process."""
    screen.line("tmux is not installed: the agent runs as a plain child process")
    session_id, _ = shell.product.run_manual_child(request, shell.paths)
    return show_report(screen, shell.product.read_session(shell.paths, session_id))


def show_report(screen: Screen, view: SessionView) -> int:
    """Show what came of a session that is over, and give its exit code."""
    if screen.as_json:
        screen.envelope("report", report_shape(view, alive=False))
    for indent, line in report_lines(view):
        screen.line(line, indent=indent)
    return view.outcome.exit_code if view.outcome is not None else EXIT_INTERRUPTED


def _attach(shell: Shell, screen: Screen, session_id: str) -> bool:
    """Attach; a tmux that cannot is no reason to lose sight of a session that runs."""
    try:
        return attach(shell, session_id)
    except TmuxError as exc:
        screen.problem(exc)
        return False


def _is_over(shell: Shell, session_id: str) -> bool:
    """Whether the window closed because the session ends, and not because the person left."""

    def ends() -> bool:
        view = shell.product.read_session(shell.paths, session_id)
        return view.ending or shell.product.is_finished(view)

    return until(ends, within_s=ENDING_S, every_s=0.1)


def _look_away(screen: Screen, session_id: str, what: str) -> int:
    screen.note(f"{what}; session {session_id} goes on.")
    screen.note(f"  watch it: agentorchestr attach {session_id}")
    screen.note(f"  stop it:  agentorchestr stop {session_id}")
    return EXIT_INTERRUPTED
