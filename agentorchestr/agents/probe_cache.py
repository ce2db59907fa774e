"""What earlier probes found out, as long as it still holds."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from agentorchestr.agents.asking import Askable
from agentorchestr.agents.environment import expand
from agentorchestr.paths import ensure_private, write_private

LOGIN_HOLDS_S = 60.0
CACHE_BYTES = 1024 * 1024


class LoginState(StrEnum):
    """Whether somebody is logged in to an agent."""

    READY = "ready"
    NOT_LOGGED_IN = "not_logged_in"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Login:
    """The answer of a log-in probe; *detail* only when it could not be told."""

    state: LoginState
    detail: str = ""


@dataclass(frozen=True)
class KnownLogin:
    """A log-in state, and when it was asked for."""

    state: LoginState
    at: float


@dataclass(frozen=True)
class Kept:
    """The cache file. Loading pydantic to check what we wrote ourselves takes longer than most probes."""

    versions: dict[str, str] = field(default_factory=dict)
    logins: dict[str, KnownLogin] = field(default_factory=dict)

    @classmethod
    def read(cls, raw: bytes) -> "Kept":
        """The content of a cache file. Raises ``ValueError`` or its like when it is not one."""
        match json.loads(raw):
            case {"versions": dict(versions), "logins": dict(logins)}:
                return cls(
                    {key: _text(version) for key, version in versions.items()},
                    {
                        key: KnownLogin(LoginState(known["state"]), float(known["at"]))
                        for key, known in logins.items()
                    },
                )
            case other:
                raise ValueError(f"not a cache: {type(other).__name__}")


class ProbeCache:
    """Known answers by what they depend on. Threads may share it."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._changed = False

    @classmethod
    def read(cls, file: Path | None) -> "ProbeCache":
        """The cache in *file*; an empty one when it is missing or broken, since it can be made anew."""
        if file is None:
            return cls(Kept())
        try:
            with file.open("rb") as source:
                return cls(Kept.read(source.read(CACHE_BYTES)))
        except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
            return cls(Kept())

    def write(self, file: Path | None) -> None:
        """Keep what was learnt; a folder that cannot be written costs time only."""
        if file is None or not self._changed:
            return
        try:
            ensure_private(file.parent)
            write_private(file, json.dumps(asdict(self._kept)))
        except OSError:
            return

    def version(self, spec: Askable, binary: Path) -> str:
        """The known version of this very file; empty when unknown."""
        return self._kept.versions.get(_key(spec, binary, spec.version.pattern), "")

    def keep_version(self, spec: Askable, binary: Path, version: str) -> None:
        """Remember the version of this very file."""
        with self._lock:
            self._kept.versions[_key(spec, binary, spec.version.pattern)] = version
            self._changed = True

    def login(self, spec: Askable, binary: Path, env: Mapping[str, str]) -> Login | None:
        """The known log-in state, if it was asked for within the last minute and nothing changed since."""
        known = self._kept.logins.get(_login_key(spec, binary, env))
        if known is None or not 0 <= time.time() - known.at < LOGIN_HOLDS_S:
            return None
        return Login(known.state)

    def keep_login(self, spec: Askable, binary: Path, env: Mapping[str, str], login: Login) -> None:
        """Remember a log-in state for a minute; older ones go."""
        now, logins = time.time(), self._kept.logins
        with self._lock:
            for key in [key for key, known in logins.items() if now - known.at > LOGIN_HOLDS_S]:
                del logins[key]
            logins[_login_key(spec, binary, env)] = KnownLogin(state=login.state, at=now)
            self._changed = True


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _key(spec: Askable, binary: Path, *more: str) -> str:
    return json.dumps([spec.name, str(binary), _stamp(binary.resolve()), *more])


def _login_key(spec: Askable, binary: Path, env: Mapping[str, str]) -> str:
    stamps = [_stamp(path) for name in spec.login.watch if (path := expand(name, env)) is not None]
    return _key(spec, binary, env.get("HOME", ""), *spec.login.argv, *stamps)


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return f"{path}:"
    return f"{path}:{found.st_size}:{found.st_mtime_ns}"
