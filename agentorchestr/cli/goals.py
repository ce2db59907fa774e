"""Where the goal comes from: an option, a file, or the keyboard."""

import sys

from agentorchestr.cli.inputs import check_goal, read_goal_file
from agentorchestr.cli.options import Options
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen

END_WORD = "/end"


def read_goal(shell: Shell, screen: Screen, options: Options) -> str:
    """Give the goal or task, whole and unchanged.

    Raises ``UsageError`` for one that cannot be used.
    """
    if options.manual:
        return check_goal(options.task or "", origin="the task")
    if options.goal_file is not None:
        return read_goal_file(options.goal_file, cwd=shell.cwd)
    if options.goal is not None:
        return check_goal(options.goal, origin="the goal")
    return read_pasted(shell, screen)


def read_pasted(shell: Shell, screen: Screen) -> str:
    """Read lines up to ``/end`` (or the end of the input) from the keyboard or a pipe."""
    if shell.on_terminal:
        screen.note(f"Paste the goal; a line with {END_WORD} submits it, Ctrl-C leaves.")
    lines = []
    for line in sys.stdin:
        if line.strip() == END_WORD:
            break
        lines.append(line)
    return check_goal("".join(lines).rstrip("\n"), origin="the goal")


def ask_agents(screen: Screen, ready: tuple[str, ...], *, lead: str) -> tuple[str, tuple[str, ...]]:
    """Let the person pick the lead and the workers' agents; an empty answer keeps what is offered."""
    screen.note(f"Ready agents: {', '.join(ready)}")
    picked = screen.ask(f"Lead [{lead}]:", default=lead)
    workers = screen.ask(f"Workers [{' '.join(ready)}]:", default=" ".join(ready))
    return picked, tuple(dict.fromkeys(workers.replace(",", " ").split()))
