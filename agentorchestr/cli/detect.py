"""``--detect``: which agents and programs are on this machine."""

from agentorchestr.agents.catalogue import load_catalogue
from agentorchestr.cli.choosing import Catalogue, Wanted, check_names
from agentorchestr.cli.product import Shell
from agentorchestr.cli.render import Screen
from agentorchestr.cli.words import split_names
from agentorchestr.doctor.detecting import Detected, detect_all

_LOGIN = {"READY": "ready", "NOT_LOGGED_IN": "installed, not logged in", "UNKNOWN": "unknown"}


def show_detected(shell: Shell, *, names: tuple[str, ...] = ()) -> int:
    """Show what is there; *names* restricts the agents. Gives 0 whatever is found."""
    catalogue = load_catalogue(shell.paths.config / "agents")
    wanted = check_names(Wanted(split_names(names)), catalogue).agents
    found = detect_all(shell.env, probe=lambda: shell.product.detect(shell.paths, shell.env, wanted))
    screen = Screen(as_json=shell.as_json)
    if screen.as_json:
        screen.envelope("detect", _shape(found, catalogue))
    else:
        _show(screen, found, catalogue)
    return 0


def _show(screen: Screen, found: Detected, catalogue: Catalogue) -> None:
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


def _shape(found: Detected, catalogue: Catalogue) -> dict[str, object]:
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
