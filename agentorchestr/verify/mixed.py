"""Files that hold a project's test settings among other things: what in them concerns the tests."""

import configparser
import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

Part = Callable[[str], object]
JS_RUNNERS = ("jest", "mocha", "vitest", "ava", "tap", "nyc", "c8")
PYTHON_TOOLS = ("pytest", "coverage", "tox", "nox", "hatch", "poe", "pdm", "poetry-dynamic")


def _of_pyproject(text: str) -> object:
    tools = tomllib.loads(text).get("tool", {})
    return {name: tools[name] for name in PYTHON_TOOLS if name in tools}


def _of_package_json(text: str) -> object:
    content = json.loads(text)
    scripts = content.get("scripts", {})
    tests = {name: line for name, line in scripts.items() if "test" in name or "check" in name}
    return tests, {name: content[name] for name in JS_RUNNERS if name in content}


def _of_setup_cfg(text: str) -> object:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections() if "test" in name or "coverage" in name}


def _of_composer(text: str) -> object:
    return json.loads(text).get("scripts", {})


PARTS: Mapping[str, Part] = {
    "pyproject.toml": _of_pyproject,
    "package.json": _of_package_json,
    "setup.cfg": _of_setup_cfg,
    "composer.json": _of_composer,
    "Makefile": str,
    "makefile": str,
    "GNUmakefile": str,
    "justfile": str,
    "Rakefile": str,
}
"""By file name: what decides how the tests run. Where that is the whole file, any change of it counts."""


def is_mixed(path: str) -> bool:
    """Whether the file may hold test settings, so that its content has to be looked at."""
    return PurePosixPath(path).name in PARTS


def settings_changed(path: str, old: bytes | None, new: bytes | None) -> bool:
    """Whether what concerns the tests differs between two contents of *path*; None: there is no such file.

    A content that cannot be read counts as changed.
    """
    part = PARTS[PurePosixPath(path).name]
    try:
        return _read(part, old) != _read(part, new)
    except (ValueError, AttributeError, TypeError, configparser.Error):
        return True


def _read(part: Part, content: bytes | None) -> object:
    found = part(content.decode()) if content is not None else None
    # A file that is not there and one that says nothing of tests are the same to them.
    return found or None if not isinstance(found, tuple) else (tuple(found) if any(found) else None)
