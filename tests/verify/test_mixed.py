import pytest

from agentorchestr.verify.altered import altered_tests
from agentorchestr.verify.mixed import is_mixed, settings_changed

PYPROJECT = b'[project]\nname = "x"\n[tool.pytest.ini_options]\naddopts = "-q"\n'


@pytest.mark.parametrize(
    ("path", "old", "new", "changed"),
    [
        ("pyproject.toml", PYPROJECT, PYPROJECT.replace(b'"x"', b'"y"'), False),
        ("pyproject.toml", PYPROJECT, PYPROJECT.replace(b"-q", b"--deselect a"), True),
        ("pyproject.toml", None, b'[project]\nname = "x"\n', False),
        ("pyproject.toml", None, PYPROJECT, True),
        ("pyproject.toml", PYPROJECT, b"broken [", True),
        ("sub/package.json", b'{"scripts":{"test":"jest"}}', b'{"scripts":{"test":"true"}}', True),
        ("package.json", b'{"scripts":{"test":"jest"}}', b'{"scripts":{"test":"jest","dev":"x"}}', False),
        ("package.json", b'{"name":"a"}', b'{"name":"b","dependencies":{}}', False),
        ("package.json", b"{}", b"[]", True),
        ("setup.cfg", b"[metadata]\nname=a\n", b"[metadata]\nname=b\n", False),
        ("setup.cfg", b"[metadata]\n", b"[tool:pytest]\naddopts=--collect-only\n", True),
        ("Makefile", b"test:\n\tpytest\n", b"test:\n\ttrue\n", True),
        ("Makefile", b"test:\n\tpytest\n", b"\xff\xfe", True),
    ],
)
def test_only_what_concerns_the_tests_counts(
    path: str, old: bytes | None, new: bytes | None, *, changed: bool
) -> None:
    assert is_mixed(path)
    assert settings_changed(path, old, new) is changed


def test_new_test_settings_are_told_and_new_tests_are_not() -> None:
    changes = [("A", "conftest.py"), ("A", "tests/conftest.py"), ("A", "tox.ini"), ("A", "tests/test_new.py")]
    assert altered_tests(changes) == ("conftest.py", "tests/conftest.py", "tox.ini")


def test_an_ordinary_file_is_not_mixed() -> None:
    assert not is_mixed("src/app.py")
    assert not is_mixed("package.json.bak")
