"""From the top-level options to the one thing they ask for."""

import os
from dataclasses import fields, replace
from pathlib import Path

from agentorchestr.cli.options import Options, the_mode
from agentorchestr.cli.product import Shell
from agentorchestr.cli.text import clean
from agentorchestr.errors import UsageError

# A command has these itself, so they mean the same before its name.
_SHARED = frozenset({"project", "as_json"})
# Each is refused by its own check, which knows what would be right.
_TOLD_LATER = frozenset({"goal", "goal_file", "task", "project", "agents", "agent", "lead", "role", "resume"})


def shell_of(given: object, options: Options) -> Shell:
    """Give the shell of this process, or the one a caller brought along."""
    shell = given if isinstance(given, Shell) else Shell(env=dict(os.environ), cwd=working_directory())
    return shell.with_options(as_json=options.as_json, project=options.project)


def working_directory() -> Path:
    """Give the directory we were started in.

    Raises ``UsageError`` when it has been removed.
    """
    try:
        return Path.cwd()
    except FileNotFoundError as exc:
        raise UsageError("the current directory does not exist any more", hint="cd to another one") from exc


def refuse_beside_command(options: Options, command: str) -> None:
    """Refuse a top-level option that the command after it would drop."""
    empty = Options()
    for field in fields(options):
        if field.name not in _SHARED and getattr(options, field.name) != getattr(empty, field.name):
            raise UsageError(
                f"--{field.name.replace('_', '-')} cannot go with the command {command}",
                hint=f"agentorchestr {command} --help",
            )


def refuse_broken_text(options: Options) -> None:
    """Refuse an option whose value is not UTF-8: it could be neither written down nor shown again."""
    for field in fields(options):
        value = getattr(options, field.name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and field.name not in _TOLD_LATER and not is_utf8(text):
                raise UsageError(
                    f"--{field.name.replace('_', '-')} is not UTF-8: {clean(text)}",
                    hint="type it again, or put the command into a script and name that",
                )


def is_utf8(text: str) -> bool:
    """Whether *text* can be written as UTF-8: bytes of another encoding come in as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def run(shell: Shell, options: Options) -> int:
    """Do what the options ask for, and give the exit code."""
    refuse_broken_text(options)
    mode = the_mode(options)
    if mode == "--list-sessions":
        from agentorchestr.cli.sessions_command import show_sessions

        return show_sessions(shell)
    if mode == "--detect":
        from agentorchestr.cli.detect import show_detected

        return show_detected(shell, names=options.agents)
    if mode == "--doctor":
        from agentorchestr.cli.doctor_command import show_findings

        return show_findings(shell, broker=options.broker)
    if mode == "--resume":
        from agentorchestr.cli.resume import resume

        return resume(shell, options)
    from agentorchestr.cli.start import start

    return start(replace(shell, as_json=options.as_json or shell.as_json), options)
