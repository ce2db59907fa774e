"""One line of the doctor: what was looked at, what came of it, and the command that mends it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters for a goal."""

    OK = "ok"
    WARNING = "warning"
    """A goal starts, and something will be missing."""
    FAILED = "failed"
    """No goal would start."""


@dataclass(frozen=True)
class Finding:
    """What one check found. ``fix`` is what to type, empty when all is well."""

    level: Level
    name: str
    text: str
    fix: str = ""


def fine(name: str, text: str) -> Finding:
    """Give a finding that all is well."""
    return Finding(Level.OK, name, text)


def warning(name: str, text: str, *, fix: str) -> Finding:
    """Give a finding that something will be missing."""
    return Finding(Level.WARNING, name, text, fix)


def failed(name: str, text: str, *, fix: str) -> Finding:
    """Give a finding that no goal would start."""
    return Finding(Level.FAILED, name, text, fix)


def would_start(findings: tuple[Finding, ...]) -> bool:
    """Whether a goal would start."""
    return all(finding.level is not Level.FAILED for finding in findings)
