from pathlib import Path

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.verify.detect import checks_from_option, detect_checks
from agentorchestr.verify.project_notes import commands_in_notes


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


NPM_TEST = '{"scripts": {"test": "vitest run"}}'
PLACEHOLDER = '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({}, []),
        ({"README.md": "x"}, []),
        ({"pytest.ini": ""}, ["python3 -m pytest"]),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, ["python3 -m pytest"]),
        ({"pyproject.toml": "[project]\n"}, []),
        ({"setup.cfg": "[tool:pytest]\n"}, ["python3 -m pytest"]),
        ({"tests/test_a.py": "import pytest\n"}, ["python3 -m pytest"]),
        ({"tests/test_a.py": "def test_a():\n    pass\n"}, ["python3 -m pytest"]),
        ({"test_a.py": "def test_a():\n    pass\n"}, ["python3 -m pytest"]),
        ({"test_a.py": "import unittest\n"}, ["python3 -m unittest discover"]),
        ({"tests/test_a.py": "import unittest\n"}, ["python3 -m unittest discover -s tests"]),
        ({"tests/test_a.py": "import unittest\n", "tests/__init__.py": ""}, ["python3 -m unittest discover"]),
        ({"package.json": NPM_TEST}, ["npm test"]),
        ({"package.json": PLACEHOLDER}, []),
        ({"package.json": "{}"}, []),
        ({"package.json": NPM_TEST, "pnpm-lock.yaml": ""}, ["pnpm test"]),
        ({"package.json": NPM_TEST, "yarn.lock": ""}, ["yarn test"]),
        ({"package.json": NPM_TEST, "bun.lock": ""}, ["bun run test"]),
        ({"Cargo.toml": ""}, ["cargo test"]),
        ({"go.mod": ""}, ["go test ./..."]),
        ({"Makefile": "test: build\n\ttrue\n"}, ["make test"]),
        ({"Makefile": "check:\n\ttrue\n"}, ["make check"]),
        ({"Makefile": "test := 1\nall:\n"}, []),
        ({"Makefile": "test:\n", "Cargo.toml": ""}, ["cargo test"]),
        ({"pom.xml": ""}, ["mvn -B test"]),
        ({"pom.xml": "", "mvnw": ""}, ["./mvnw -B test"]),
        ({"build.gradle.kts": "", "gradlew": ""}, ["./gradlew test"]),
        ({"build.gradle": ""}, ["gradle test"]),
        ({"composer.json": '{"scripts": {"test": ["phpunit"]}}'}, ["composer test"]),
        ({"Rakefile": "Rake::TestTask.new\n"}, ["rake test"]),
        ({"Rakefile": "task :spec\n", "Gemfile": ""}, ["bundle exec rake spec"]),
        ({"go.mod": "", "package.json": NPM_TEST}, ["npm test", "go test ./..."]),
    ],
)
def test_the_files_of_a_project_tell_its_checks(
    tmp_path: Path, files: dict[str, str], shown: list[str]
) -> None:
    found = detect_checks(lay_out(tmp_path, files))
    assert [check.shown for check in found] == shown
    assert all(check.source.startswith("detected: ") for check in found)


def test_the_projects_own_python_is_used_when_it_has_pytest(tmp_path: Path) -> None:
    lay_out(tmp_path, {"pytest.ini": "", ".venv/bin/python": ""})
    assert detect_checks(tmp_path)[0].argv[0] == "python3"
    (tmp_path / ".venv/lib/python3.11/site-packages/pytest").mkdir(parents=True)
    found = detect_checks(tmp_path)[0]
    assert found.argv == (str(tmp_path / ".venv/bin/python"), "-m", "pytest")
    assert found.shown == ".venv/bin/python -m pytest"


def test_what_the_project_says_wins_over_its_files(tmp_path: Path) -> None:
    lay_out(tmp_path, {"go.mod": "", ".agentorchestr/config.toml": 'checks = ["make lint", "make test"]\n'})
    assert [check.argv for check in detect_checks(tmp_path)] == [
        ("sh", "-c", "make lint"),
        ("sh", "-c", "make test"),
    ]
    lay_out(tmp_path, {".agentorchestr/PROJECT.md": "# P\n## Verify\n```sh\nmake all\n```\n"})
    (found,) = detect_checks(tmp_path)
    assert (found.shown, found.source) == ("make all", ".agentorchestr/PROJECT.md")


def test_a_package_file_that_is_not_json_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"package\.json is not JSON"):
        detect_checks(lay_out(tmp_path, {"package.json": "{"}))


def test_an_option_is_a_shell_line_of_the_person() -> None:
    (check,) = checks_from_option(" make test && echo 'ok' ")
    assert check.argv == ("sh", "-c", "make test && echo 'ok'")
    assert check.source == "--checks"
    assert checks_from_option("   ") == ()


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("", ()),
        ("# Build\n```\nmake\n```\n", ()),
        ("## Checks\n```\n$ a\n# no\n\nb \\\n  --c\n```\n", ("a", "b --c")),
        (
            "## Verify\n- `make test`\n* run `x y` first\n1. npm test\n- Always be careful.\n",
            ("make test", "x y", "npm test"),
        ),
        ("## Verify ##\n~~~\na\n~~~\n### Deeper\n```\nb\n```\n## Other\n```\nc\n```\n", ("a", "b")),
        ("## Verify\n```sh\n# Verify\na\n## Other\nb\n```\n", ("a", "b")),
        ("<!--\n## Verify\n```\nevil\n```\n-->\n", ()),
        ("# Verification\n\nText `not a command`.\n", ()),
        ("## Checksum\n- `a`\n", ()),
    ],
)
def test_notes_name_commands_in_their_verify_section(text: str, commands: tuple[str, ...]) -> None:
    assert commands_in_notes(text) == commands
