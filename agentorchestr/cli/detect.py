"""``--detect``: which agents and programs are on this machine."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from agentorchestr.agents.asking import Askable, read_early
from agentorchestr.agents.catalogue import load_askable, load_catalogue
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.words import split_names
from agentorchestr.doctor.detecting import Detected, detect_all

_LOGIN = {"READY": "ready", "NOT_LOGGED_IN": "installed, not logged in", "UNKNOWN": "unknown"}


def show_detected(shell: Shell, *, names: tuple[str, ...] = ()) -> int:
    """Show what is there; *names* restricts the agents. Gives 0 whatever is found."""
    screen = Screen(as_json=shell.as_json)
    wanted = split_names(names)
    own = shell.paths.config / "agents"
    if not set(wanted) <= set(read_early(own)):
        _check(wanted, own)
    found = detect_all(
        shell.env,
        probe=lambda: shell.product.detect(shell.paths, shell.env, wanted),
        meanwhile=lambda: screen.is_terminal and not screen.as_json and import_module("rich.table"),
    )
    catalogue = load_askable(own)
    if screen.as_json:
        screen.envelope("detect", _shape(found, catalogue))
    else:
        _show(screen, found, catalogue)
    return 0


def _check(names: tuple[str, ...], own: Path) -> None:
    """Raise ``UsageError`` for a name that no spec has. Loads far more than a probe needs."""
    from agentorchestr.cli.choosing import Wanted, check_names

    check_names(Wanted(names), load_catalogue(own))


def _show(screen: Screen, found: Detected, catalogue: Mapping[str, Askable]) -> None:
    screen.table(
        ("agent", "version", "state", "proven", "program", "detail"),
        [
            (
                one.name,
                one.version or "?",
                "does not run" if one.broken else _LOGIN[one.login.name],
                "proven" if catalogue[one.name].proven else "not proven",
                one.binary,
                one.detail,
            )
            for one in found.agents
        ],
        empty="no agent is installed",
    )
    screen.line()
    screen.table(
        ("program", "version", "path"),
        [(one.name, one.version or one.problem, one.path or "-") for one in found.programs],
        empty="",
    )
    screen.line()
    screen.line(f"keys set: {', '.join(found.keys) or 'none'}")


def _shape(found: Detected, catalogue: Mapping[str, Askable]) -> dict[str, object]:
    return {
        "agents": [
            {
                "name": one.name,
                "title": catalogue[one.name].title,
                "version": one.version or None,
                "state": "broken" if one.broken else one.login.name.lower(),
                "proven": catalogue[one.name].proven,
                "program": str(one.binary),
                "detail": one.detail,
            }
            for one in found.agents
        ],
        "programs": [
            {
                "name": one.name,
                "version": one.version or None,
                "path": one.path or None,
                "problem": one.problem or None,
            }
            for one in found.programs
        ],
        "keys": list(found.keys),
    }
