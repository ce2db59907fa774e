"""Find out how a project is checked: what it says itself, else what its files tell."""

from pathlib import Path

from agentorchestr.config.files import read_text_inside
from agentorchestr.config.project import PROJECT_CONFIG, load_project_config
from agentorchestr.model.verdict import CheckCommand
from agentorchestr.verify import other_runners, python_tests
from agentorchestr.verify.project_notes import commands_in_notes

PROJECT_NOTES = ".agentorchestr/PROJECT.md"
DETECTED = "detected: "
OPTION = "--checks"


def detect_checks(root: Path) -> tuple[CheckCommand, ...]:
    """Give the checks of the project at *root*; empty when there are none to be found.

    The first of these that names any is used whole: the Verify section of ``.agentorchestr/PROJECT.md``,
    ``checks`` in ``.agentorchestr/config.toml``, the project's files. Nothing is run to find out.

    Raises ``UsageError`` for settings that cannot be read.
    """
    lines = commands_in_notes(read_text_inside(root, PROJECT_NOTES) or "")
    if lines:
        return tuple(_shell(line, source=PROJECT_NOTES) for line in lines)
    lines = load_project_config(root).checks
    if lines:
        return tuple(_shell(line, source=PROJECT_CONFIG) for line in lines)
    found = [*python_tests.find(root), *other_runners.find(root)] or other_runners.find_make(root)
    return tuple(
        CheckCommand(argv=argv, source=f"{DETECTED}{kind}", shown=shown) for kind, argv, shown in found
    )


def checks_from_option(line: str) -> tuple[CheckCommand, ...]:
    """Give the check for one ``--checks`` option: a shell line, as typed; none for a blank one."""
    return (_shell(line.strip(), source=OPTION),) if line.strip() else ()


def _shell(line: str, *, source: str) -> CheckCommand:
    return CheckCommand(argv=("sh", "-c", line), source=source, shown=line)
