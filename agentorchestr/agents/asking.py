"""What is needed to ask an agent program how it is, read without the weight of a whole spec.

A whole spec is checked by pydantic, whose import takes longer than many a program takes to answer. These
parts are plain values, so the programs can be asked while the rest is still being read.
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

SHIPPED = Path(__file__).parent / "catalogue"
SPEC_BYTES = 256 * 1024


class IsRegex:
    """Marks a text that pydantic, once it is there, shall accept as a regular expression only."""

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Check the text after pydantic's own checks."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(_is_regex, handler(source))


def _is_regex(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"not a regular expression: {exc}") from exc
    return text


Regex = Annotated[str, IsRegex()]


@dataclass(frozen=True)
class VersionProbe:
    """How to ask for the version. The first group of *pattern* is the version."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # pydantic's name for it, which nobody changes
    argv: tuple[str, ...] = ("--version",)
    pattern: Regex = r"(\d+\.\d+[\w.+-]*)"


@dataclass(frozen=True)
class LoginProbe:
    """How to tell whether somebody is logged in, cheapest first: variables, then a command, then files."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  # pydantic's name for it, which nobody changes
    env: tuple[str, ...] = ()
    """Any of these set: ready."""
    argv: tuple[str, ...] = ()
    ready: Regex = ""
    """Matches the output of ``argv`` when logged in; empty: exit code 0 decides."""
    not_logged_in: Regex = ""
    """Matches the output when not; with neither match the state is unknown."""
    files: tuple[str, ...] = ()
    """Any of these not empty: ready (``~`` and ``$VARIABLE`` are expanded)."""
    files_decide: bool = False
    """Without any of the files nobody is logged in; otherwise it is unknown."""
    watch: tuple[str, ...] = ()
    """Files that a log-in writes: when one changes, the command is asked again."""
    hint: str = ""
    """What a person types to log in."""


class Askable(Protocol):
    """What a probe needs of a spec: ``AgentSpec`` has it, and ``EarlySpec`` has nothing else."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def proven(self) -> bool: ...
    @property
    def builtin(self) -> bool: ...
    @property
    def binaries(self) -> tuple[str, ...]: ...
    @property
    def version(self) -> VersionProbe: ...
    @property
    def login(self) -> LoginProbe: ...
    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def quirks(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class EarlySpec:
    """A spec before it is checked. Its probes may run; its answers count once ``says_as`` holds."""

    name: str = ""
    title: str = ""
    proven: bool = False
    builtin: bool = False
    binaries: tuple[str, ...] = ()
    version: VersionProbe = VersionProbe()
    login: LoginProbe = LoginProbe()
    env: Mapping[str, str] = field(default_factory=dict)
    quirks: tuple[str, ...] = ()

    def says_as(self, spec: Askable) -> bool:
        """Whether asking by this is the same as asking by the checked *spec*."""
        return all(getattr(self, one.name) == getattr(spec, one.name) for one in fields(self))


def read_early(user_dir: Path) -> dict[str, EarlySpec]:
    """The specs of all files by name, as ``load_catalogue`` orders them, less those that are odd.

    An odd one is left to ``load_catalogue``, which accepts it or says what is wrong.
    """
    own = _own_files(user_dir)
    shipped = {name: spec for name, spec in _shipped().items() if name not in own}
    return dict(sorted({**shipped, **_read_files(own)}.items()))


def needs_check(user_dir: Path) -> bool:
    """Whether a person has files of their own. The shipped ones are checked by our tests."""
    return bool(_own_files(user_dir))


def _own_files(user_dir: Path) -> dict[str, Path]:
    return {path.stem: path for path in user_dir.glob("*.toml")}


@cache
def _shipped() -> dict[str, EarlySpec]:
    return _read_files({path.stem: path for path in SHIPPED.glob("*.toml")})


def _read_files(files: Mapping[str, Path]) -> dict[str, EarlySpec]:
    found = ((name, _read(file)) for name, file in files.items())
    return {name: spec for name, spec in found if spec is not None}


def _read(file: Path) -> EarlySpec | None:
    try:
        with file.open("rb") as source:
            table = tomllib.loads(source.read(SPEC_BYTES).decode())
        parts = {name: kind(**_like(kind(), table.get(name, {}))) for name, kind in _PARTS.items()}
        return EarlySpec(**{**_like(EarlySpec(), table), **parts})
    except (OSError, ValueError, TypeError):
        return None


_PARTS: dict[str, type[VersionProbe | LoginProbe]] = {"version": VersionProbe, "login": LoginProbe}


def _like(blank: EarlySpec | VersionProbe | LoginProbe, table: object) -> dict[str, Any]:
    """What *table* says for the fields of *blank*.

    Raises ``TypeError`` for a value of another kind than the field's.
    """
    if not isinstance(table, dict):
        raise TypeError(table)
    names = [one.name for one in fields(blank) if one.name in table and one.name not in _PARTS]
    return {name: _plain(getattr(blank, name), table[name]) for name in names}


def _plain(blank: object, value: object) -> object:
    if isinstance(blank, tuple) and isinstance(value, list) and _are_texts(value):
        return tuple(value)
    if isinstance(blank, dict) and isinstance(value, dict) and _are_texts(value.values()):
        return value
    if isinstance(blank, str | bool) and type(value) is type(blank):
        return value
    raise TypeError(value)


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def locate(spec: Askable, env: Mapping[str, str]) -> Path | None:
    """The agent's program on PATH; our own Python for one that ships with us."""
    if spec.builtin:
        return Path(sys.executable)
    for name in spec.binaries:
        if found := shutil.which(name, path=env.get("PATH", "")):
            return Path(found).absolute()
    return None
