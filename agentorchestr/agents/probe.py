"""Find out which agents are installed, in which version, and whether somebody is logged in."""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agentorchestr import __version__
from agentorchestr.agents import quirks
from agentorchestr.agents.asking import Askable, locate
from agentorchestr.agents.environment import clean, expand
from agentorchestr.agents.probe_cache import Login, LoginState, ProbeCache
from agentorchestr.agents.templates import placeholders
from agentorchestr.errors import OrchestrError
from agentorchestr.process import ProgramTimeout, run

__all__ = ["Installed", "LoginState", "probe_all"]

PROBE_LIMIT_S = 3.0
OUTPUT_CHARS = 20_000
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Installed:
    """One agent that is there."""

    name: str
    binary: Path
    version: str
    """Empty when the program did not tell."""
    login: LoginState
    detail: str
    """What a person should know: why it is broken, or how to log in. Empty when all is well."""
    broken: bool = False
    """The program could not even tell its version: do not start it."""


@dataclass(frozen=True)
class _Version:
    text: str
    problem: str = ""


def probe_all(
    specs: Iterable[Askable],
    *,
    env: Mapping[str, str],
    cache_file: Path | None = None,
) -> tuple[Installed, ...]:
    """Every installed agent among *specs*, in their order, all probed at once.

    Takes about as long as the slowest single probe, at most the limit of one. A program that hangs, fails
    or prints nonsense is a finding in ``detail``. *cache_file* remembers versions by path, size and
    mtime, and log-ins for a minute; None: ask everything anew.
    """
    cache = ProbeCache.read(cache_file)
    there = [(spec, binary) for spec in specs if (binary := locate(spec, env)) is not None]
    if not there:
        return ()
    with ThreadPoolExecutor(max_workers=2 * len(there)) as pool:
        asked = [
            (
                spec,
                binary,
                pool.submit(_version, spec, binary, env, cache),
                _ask_login(pool, spec, binary, env, cache),
            )
            for spec, binary in there
        ]
        found = tuple(
            _installed(spec, binary, version.result(), login.result())
            for spec, binary, version, login in asked
        )
    cache.write(cache_file)
    return found


def _ask_login(
    pool: ThreadPoolExecutor, spec: Askable, binary: Path, env: Mapping[str, str], cache: ProbeCache
) -> "Future[Login]":
    return pool.submit(_login, spec, binary, env, cache)


def _installed(spec: Askable, binary: Path, version: _Version, login: Login) -> Installed:
    detail = version.problem or login.detail
    if not detail and login.state is LoginState.NOT_LOGGED_IN:
        detail = f"not logged in: {spec.login.hint}" if spec.login.hint else "not logged in"
    return Installed(
        name=spec.name,
        binary=binary,
        version=version.text,
        login=LoginState.UNKNOWN if version.problem else login.state,
        detail=detail,
        broken=bool(version.problem),
    )


def _version(spec: Askable, binary: Path, env: Mapping[str, str], cache: ProbeCache) -> _Version:
    if spec.builtin:
        return _Version(__version__)
    if known := cache.version(spec, binary):
        return _Version(known)
    try:
        output = _output(spec, binary, spec.version.argv, env)
    except ProgramTimeout:
        return _Version("", f"broken: {binary} {' '.join(spec.version.argv)} did not answer")
    except (OrchestrError, OSError) as exc:
        return _Version("", f"broken: {exc}")
    match = re.search(spec.version.pattern, output, re.MULTILINE)
    if match is None:
        return _Version("", f"broken: {binary} does not tell a version of {spec.title}")
    version = match[1] if match.re.groups else match[0]
    cache.keep_version(spec, binary, version)
    return _Version(version)


def _login(spec: Askable, binary: Path, env: Mapping[str, str], cache: ProbeCache) -> Login:
    probe = spec.login
    if spec.builtin or any(env.get(name) for name in probe.env):
        return Login(LoginState.READY)
    if "codex_login" in spec.quirks and quirks.codex_own_provider(env):
        return Login(LoginState.READY)
    files = [path for name in probe.files if (path := expand(name, env)) is not None]
    if any(_holds_something(path) for path in files):
        return Login(LoginState.READY)
    if probe.argv:
        return cache.login(spec, binary, env) or _ask(spec, binary, env, cache)
    return Login(LoginState.NOT_LOGGED_IN if probe.files_decide else LoginState.UNKNOWN)


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _ask(spec: Askable, binary: Path, env: Mapping[str, str], cache: ProbeCache) -> Login:
    probe = spec.login
    try:
        done = run(
            [binary, *probe.argv],
            timeout_s=PROBE_LIMIT_S,
            cwd=_home(env),
            env=_quiet(spec, env),
            merge_stderr=True,
        )
    except ProgramTimeout:
        return Login(LoginState.UNKNOWN, f"{binary} {' '.join(probe.argv)} did not answer")
    except (OrchestrError, OSError) as exc:
        return Login(LoginState.UNKNOWN, str(exc))
    output = ESCAPES.sub("", done.text)[:OUTPUT_CHARS]
    state = LoginState.UNKNOWN
    if probe.not_logged_in and re.search(probe.not_logged_in, output):
        state = LoginState.NOT_LOGGED_IN
    elif re.search(probe.ready, output) if probe.ready else done.returncode == 0:
        state = LoginState.READY
    login = Login(state)
    cache.keep_login(spec, binary, env, login)
    return login


def _output(spec: Askable, binary: Path, words: tuple[str, ...], env: Mapping[str, str]) -> str:
    done = run(
        [binary, *words], timeout_s=PROBE_LIMIT_S, cwd=_home(env), env=_quiet(spec, env), merge_stderr=True
    )
    return ESCAPES.sub("", done.text)[:OUTPUT_CHARS]


def _home(env: Mapping[str, str]) -> Path:
    home = Path(env.get("HOME", "/"))
    return home if home.is_dir() else Path("/")


def _quiet(spec: Askable, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a probe: as for a launch, without what only a launch knows."""
    fixed = {name: text for name, text in spec.env.items() if not placeholders(text)}
    return {**clean(env), **fixed, "NO_COLOR": "1", "TERM": "dumb"}
