"""Recognise the test runners of other languages by a project's files."""

import json
import re
from pathlib import Path

from agentorchestr.errors import UsageError

Found = tuple[str, tuple[str, ...], str]

_LOCKS = (("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"), ("bun.lockb", "bun"))
_NPM_PLACEHOLDER = "no test specified"
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_RAKE_TASK = re.compile(r"Rake::TestTask|^\s*task\s+[:\"']?test\b", re.MULTILINE)
_RAKE_SPEC = re.compile(r"RSpec::Core::RakeTask|^\s*task\s+[:\"']?spec\b", re.MULTILINE)


def find(root: Path) -> list[Found]:
    """Give one check per language found, as (kind, argv, shown).

    Raises ``UsageError`` for a package file that is not JSON: its checks would be left out unseen.
    """
    return [*_npm(root), *_cargo(root), *_go(root), *_jvm(root), *_composer(root), *_rake(root)]


def find_make(root: Path) -> list[Found]:
    """Give ``make test`` or ``make check`` when the project's makefile has that target."""
    text = next((_text(root / name) for name in _MAKEFILES if (root / name).is_file()), "")
    for target in ("test", "check"):
        if re.search(rf"^{target}\s*:(?!=)", text, re.MULTILINE):
            return [_plain("make", "make", target)]
    return []


def _npm(root: Path) -> list[Found]:
    script = _script(root / "package.json")
    if not script or _NPM_PLACEHOLDER in script:
        return []
    program = next((name for lock, name in _LOCKS if (root / lock).exists()), "npm")
    words = ("run", "test") if program == "bun" else ("test",)
    return [_plain(program, program, *words)]


def _composer(root: Path) -> list[Found]:
    return [_plain("composer", "composer", "test")] if _script(root / "composer.json") else []


def _cargo(root: Path) -> list[Found]:
    return [_plain("cargo", "cargo", "test")] if (root / "Cargo.toml").is_file() else []


def _go(root: Path) -> list[Found]:
    return [_plain("go", "go", "test", "./...")] if (root / "go.mod").is_file() else []


def _jvm(root: Path) -> list[Found]:
    if (root / "pom.xml").is_file():
        return [_plain("maven", "./mvnw" if (root / "mvnw").is_file() else "mvn", "-B", "test")]
    if any((root / name).is_file() for name in ("build.gradle", "build.gradle.kts")):
        return [_plain("gradle", "./gradlew" if (root / "gradlew").is_file() else "gradle", "test")]
    return []


def _rake(root: Path) -> list[Found]:
    text = _text(root / "Rakefile")
    target = "test" if _RAKE_TASK.search(text) else "spec" if _RAKE_SPEC.search(text) else ""
    if not target:
        return []
    words = ("bundle", "exec", "rake") if (root / "Gemfile").is_file() else ("rake",)
    return [_plain("rake", *words, target)]


def _script(package: Path) -> str:
    """Give the ``test`` script of a package file; a list of commands is joined."""
    if not package.is_file():
        return ""
    try:
        top = json.loads(_text(package))
    except ValueError as exc:
        raise UsageError(f"{package} is not JSON: {exc}", hint="correct it, or give --checks") from exc
    scripts = top.get("scripts") if isinstance(top, dict) else None
    script = scripts.get("test", "") if isinstance(scripts, dict) else ""
    return " && ".join(map(str, script)) if isinstance(script, list) else str(script)


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.is_file() else ""


def _plain(kind: str, *argv: str) -> Found:
    return kind, argv, " ".join(argv)
