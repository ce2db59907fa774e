"""Recognise pytest and unittest by a project's files."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

FILES_LOOKED_AT = 200
BYTES_LOOKED_AT = 64 * 1024
_FOLDERS = ("tests", "test")
_PYTEST_SECTION = re.compile(r"^\s*\[(?:tool\.pytest(?:\.ini_options)?|tool:pytest|pytest)\]", re.MULTILINE)
_UNITTEST_WORDS = re.compile(r"^\s*(?:import unittest|from unittest\b)", re.MULTILINE)
# A test function at the margin is pytest's; one inside a class may be unittest's.
_FREE_TEST = re.compile(r"^(?:async )?def test_\w*\(|^\s*(?:import pytest\b|from pytest\b)", re.MULTILINE)

Found = tuple[str, tuple[str, ...], str]


def find(root: Path) -> list[Found]:
    """Give at most one check, as (kind, argv, shown)."""
    texts = [_head(path) for path in _test_files(root)]
    if _configures_pytest(root) or any(_FREE_TEST.search(text) for text in texts):
        python, shown = _python(root, needs="pytest")
        return [("pytest", (python, "-m", "pytest"), f"{shown} -m pytest")]
    if any(_UNITTEST_WORDS.search(text) for text in texts):
        python, shown = _python(root, needs="")
        words = ("-m", "unittest", "discover", *_start_folder(root))
        return [("unittest", (python, *words), " ".join((shown, *words)))]
    return []


def _configures_pytest(root: Path) -> bool:
    if any((root / name).is_file() for name in ("pytest.ini", ".pytest.ini", "conftest.py")):
        return True
    return any(
        _PYTEST_SECTION.search(_head(root / name)) for name in ("pyproject.toml", "setup.cfg", "tox.ini")
    )


def _test_files(root: Path) -> Iterator[Path]:
    def every() -> Iterator[Path]:
        yield from root.glob("test*.py")
        for folder in _FOLDERS:
            yield from (root / folder).rglob("test*.py")
            yield from (root / folder).rglob("*_test.py")
            yield from (root / folder).rglob("conftest.py")

    return islice(every(), FILES_LOOKED_AT)


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(BYTES_LOOKED_AT).decode(errors="replace")
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return ""


def _python(root: Path, *, needs: str) -> tuple[str, str]:
    """Give the interpreter as a path and as shown: the project's own when it has what is needed."""
    for name in (".venv", "venv"):
        python = root / name / "bin" / "python"
        has = not needs or any((root / name).glob(f"lib/python*/site-packages/{needs}"))
        if python.exists() and has:
            return str(python), f"{name}/bin/python"
    return "python3", "python3"


def _start_folder(root: Path) -> tuple[str, ...]:
    """Give the words that make unittest look into a test folder that is no package."""
    for folder in _FOLDERS:
        inside = root / folder
        if inside.is_dir() and not (inside / "__init__.py").exists() and not list(root.glob("test*.py")):
            return ("-s", folder)
    return ()
