"""Ask once whether a repository's commands may run, showing exactly which they are."""

from collections.abc import Sequence
from pathlib import Path

from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.text import clean, count
from agentorchestr.config.project import PROJECT_CONFIG
from agentorchestr.config.trust import TrustStore
from agentorchestr.errors import NotTrusted
from agentorchestr.model.setup import WorktreeSetup
from agentorchestr.model.verdict import CheckCommand
from agentorchestr.verify.detect import OPTION

YES = frozenset({"y", "yes"})


def repository_commands(setup: WorktreeSetup, checks: Sequence[CheckCommand]) -> tuple[tuple[str, str], ...]:
    """Give what would run from the repository, as (command, where it comes from).

    The person's own ``--checks`` are not the repository's.
    """
    return (
        *((argv[-1], f"{PROJECT_CONFIG}: set-up of each worktree") for argv in setup.commands),
        *((check.shown, check.source) for check in checks if check.source != OPTION),
    )


def require_trust(
    shell: Shell,
    screen: Screen,
    *,
    root: Path,
    setup: WorktreeSetup,
    checks: Sequence[CheckCommand],
    allow: bool,
) -> None:
    """Go on only when the person has allowed the repository at *root* to run its commands.

    Raises ``NotTrusted`` when they say no, or when nobody can be asked.
    """
    store = TrustStore(shell.paths.state / "trust.json")
    shown = repository_commands(setup, checks)
    commands = [command for command, _ in shown]
    if store.is_trusted(root, commands):
        return
    for line in _explain(root, shown):
        screen.note(line)
    if allow or _says_yes(shell, screen):
        store.trust(root, commands)
        return
    raise NotTrusted(
        f"{root} is not trusted yet" + (f" to run {count(len(commands), 'command')}" if commands else ""),
        hint="read what is said above; to allow it: add --trust",
    )


def _explain(root: Path, shown: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"Agents will work in worktrees of {root} without asking for permission."]
    if shown:
        lines.append("These commands of the repository will run on this machine:")
        # A bullet before each command: a hostile one cannot pose as a line of ours.
        lines += [f"- {clean(command)}   ({clean(source)})" for command, source in shown]
    else:
        lines.append("It names no commands of its own that would run.")
    return lines


def _says_yes(shell: Shell, screen: Screen) -> bool:
    if not shell.on_terminal or shell.as_json:
        return False
    return screen.ask("Trust this repository? [y/N]").lower() in YES
