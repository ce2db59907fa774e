"""Where a broker listens and who we are there. A secret comes from a file or a variable, not from a URL."""

import contextlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agentorchestr.errors import UsageError
from agentorchestr.model.mail import Address
from agentorchestr.paths import whole_path

if TYPE_CHECKING:
    import ssl

PLAIN_PORT = 1883
TLS_PORT = 8883
USER_VARIABLE = "AGENTORCHESTR_BROKER_USER"
PASSWORD_VARIABLE = "AGENTORCHESTR_BROKER_PASSWORD"  # noqa: S105 - the name of a variable
CA_VARIABLE = "AGENTORCHESTR_BROKER_CA"
CERT_VARIABLE = "AGENTORCHESTR_BROKER_CERT"
KEY_VARIABLE = "AGENTORCHESTR_BROKER_KEY"
LOGIN_FILE_VARIABLE = "AGENTORCHESTR_BROKER_LOGIN_FILE"
FILE_VARIABLES = (CA_VARIABLE, CERT_VARIABLE, KEY_VARIABLE, LOGIN_FILE_VARIABLE)


@dataclass(frozen=True)
class Login:
    """A user of a broker. For an agent, *user* is its address."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files. Without *ca* the system's authorities count; *cert* and *key* are our own certificate."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    """May stand in *cert* itself."""

    def context(self) -> "ssl.SSLContext":
        """Read the files. Raises ``UsageError`` when one is missing or is not what it should be."""
        import ssl

        if self.key is not None and self.cert is None:
            raise UsageError("a client key needs its certificate", hint=f"set {CERT_VARIABLE} as well")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                # An empty password makes a protected key an error instead of a question on the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
        except OSError as exc:
            named = ", ".join(str(file) for file in (self.ca, self.cert, self.key) if file is not None)
            why = exc.strerror or getattr(exc, "reason", "") or str(exc)
            raise UsageError(
                f"cannot read the certificates for the broker: {why} ({named})",
                hint=f"{CA_VARIABLE}, {CERT_VARIABLE}, {KEY_VARIABLE}: PEM files, the key without a password",
            ) from exc
        return context


@dataclass(frozen=True)
class Endpoint:
    """One listener of a broker: a Unix socket, or host and port with or without TLS."""

    unix: Path | None = None
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None

    def __str__(self) -> str:
        if self.unix is not None:
            return f"unix:{self.unix}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{host}:{self.port}"


def parse_broker_url(text: str, *, tls: TlsFiles | None = None) -> Endpoint:
    """Read ``mqtt://host[:port]``, ``mqtts://host[:port]`` or ``unix:/path``.

    *tls* holds the files for ``mqtts``; without it the system's authorities count.

    Raises ``UsageError``, and never repeats a password that stands in *text*.
    """
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:").removeprefix("//"))
        if not path.is_absolute():
            raise UsageError("the path of a broker's socket must be absolute", hint="unix:/path/to/mqtt.sock")
        return Endpoint(unix=path)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise UsageError("the broker's URL cannot be read", hint="mqtts://host:8883") from exc
    if "@" in parts.netloc:
        raise UsageError(
            "a broker's URL must not hold a user or a password: it would show in the process list",
            hint=f"set {USER_VARIABLE} and {PASSWORD_VARIABLE}, or give a file that holds user:password",
        )
    if parts.scheme not in {"mqtt", "mqtts"} or not host or parts.path.strip("/") or parts.query:
        raise UsageError(f"not the URL of a broker: {text}", hint="mqtts://host:8883, mqtt://… or unix:/path")
    if parts.scheme == "mqtt":
        return Endpoint(host=host, port=port or PLAIN_PORT)
    return Endpoint(host=host, port=port or TLS_PORT, tls=tls or TlsFiles())


def read_login(file: Path) -> Login:
    """Read ``user:password`` from the first line of *file*, which only its owner may read.

    Raises ``UsageError``.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        line = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot read the broker's login from {file}: {exc}") from exc
    if mode & 0o077:
        raise UsageError(f"others may read the password in {file}", hint=f"chmod 600 {file}")
    user, colon, password = line.partition(":")
    if not user or not colon:
        raise UsageError(f"the first line of {file} must be user:password")
    return Login(user, password)


def login_from_env(env: Mapping[str, str]) -> Login | None:
    """The login that the environment names, or None: two variables, else a file.

    Raises ``UsageError`` for a password without a user, and for a file that does not do.
    """
    user, password = env.get(USER_VARIABLE, ""), env.get(PASSWORD_VARIABLE, "")
    if password and not user:
        raise UsageError(f"{PASSWORD_VARIABLE} is set and {USER_VARIABLE} is not")
    if user:
        return Login(user, password)
    file = env.get(LOGIN_FILE_VARIABLE, "")
    return read_login(Path(file)) if file else None


def with_whole_paths(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """*env* with the broker's files as they are seen from everywhere; *folder* is where they were named."""
    whole = {name: str(whole_path(folder, env[name])) for name in FILE_VARIABLES if env.get(name)}
    return {**env, **whole}


def address_of_login(login: Login | None) -> Address | None:
    """The address that a login is named after, which a broker may bind it to; None for another name."""
    with contextlib.suppress(ValueError):
        return Address.parse(login.user) if login is not None else None
    return None


def tls_from_env(env: Mapping[str, str]) -> TlsFiles:
    """The certificate files that the environment names."""

    def named(variable: str) -> Path | None:
        return Path(env[variable]) if env.get(variable) else None

    return TlsFiles(named(CA_VARIABLE), named(CERT_VARIABLE), named(KEY_VARIABLE))
