"""Find the tests and test settings that a set of changes altered."""

import re
from collections.abc import Sequence

_TEST_FOLDER = re.compile(r"(?:^|/)(?:tests?|__tests__|specs?|testing|e2e|__snapshots__)/")
_TEST_FILE = re.compile(
    r"(?:^|/)(?:"
    r"test_[^/]*\.py|[^/]*_test\.(?:py|go|rb|exs|c|cc|cpp|dart)|[^/]*_spec\.rb|[^/]*\.(?:test|spec)\.[cm]?[jt]sx?"
    r"|[^/]*Tests?\.(?:java|kt|cs|php|swift|scala)|tests?\.py|tests?\.rs"
    r")$"
)
_TEST_SETTINGS = re.compile(
    r"(?:^|/)(?:"
    r"conftest\.py|\.?pytest\.ini|tox\.ini|noxfile\.py|phpunit\.xml(?:\.dist)?|\.mocharc\.[a-z]+|\.rspec"
    r"|(?:jest|vitest|karma|playwright|cypress|ava)\.(?:config|conf)\.[a-z]+"
    r")$"
)
# New files that change how existing tests run, or stand in for the runner itself.
_HIJACKS = re.compile(
    r"^(?:pytest|_pytest|unittest)(?:\.py$|/)|(?:^|/)(?:sitecustomize|usercustomize)\.py$|(?:^|/)\.?pytest\.ini$"
)
_OUR_SETTINGS = ".agentorchestr/"


def altered_tests(changes: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Give the paths of tests that existed before and were changed or deleted, in the order of *changes*.

    A change is git's status letter (``M``, ``A``, ``D``, ``T``; ``R100`` counts by its letter) and the
    path as it was *before*. A new test is welcome and not listed; new test settings are, and a new file
    that would take the place of a test runner. What names the checks (``.agentorchestr/``) counts as a test.
    """
    return tuple(dict.fromkeys(path for status, path in changes if _alters(status[:1], path)))


def _alters(status: str, path: str) -> bool:
    if path.startswith(_OUR_SETTINGS):
        return True
    if status in ("A", "C"):
        return bool(_HIJACKS.search(path) or _TEST_SETTINGS.search(path))
    return is_test(path) or bool(_HIJACKS.search(path))


def is_test(path: str) -> bool:
    """Whether *path* (with ``/``, relative to the repository) is a test or the settings of one."""
    return any(kind.search(path) for kind in (_TEST_FOLDER, _TEST_FILE, _TEST_SETTINGS))
