"""A systemd user unit that keeps an agent receiving."""

from collections.abc import Sequence

from agentorchestr.bus.names import short_name
from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Address


def unit_text(me: Address, argv: Sequence[str], *, env: Sequence[tuple[str, str]] = ()) -> str:
    """The unit that runs *argv*. Raises ``UsageError`` for what a unit cannot hold.

    Source: systemd.service(5) and systemd.syntax(7) on quoting.
    """
    name = short_name(me)
    lines = [
        "[Unit]",
        f"Description=agentorchestr bus agent {name}",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={' '.join(quoted(word) for word in argv)}",
        *(f"Environment={quoted(f'{key}={value}', is_command=False)}" for key, value in env),
        "Restart=on-failure",
        "RestartSec=5",
        "KillMode=mixed",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join(lines) + "\n"


def unit_name(me: Address) -> str:
    """The file name of the unit."""
    return f"agentorchestr-bus-{short_name(me).replace('/', '_')}.service"


def quoted(word: str, *, is_command: bool = True) -> str:
    """*word* as one word of a unit: no variable, specifier or escape in it has an effect."""
    if any(ord(char) < ord(" ") or ord(char) == 0x7F for char in word):  # noqa: PLR2004 - DEL
        raise UsageError(f"a systemd unit cannot hold a control character: {word!r}")
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    # Only command lines know variables.
    return f'"{plain.replace("$", "$$") if is_command else plain}"'
