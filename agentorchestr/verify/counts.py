"""Read what a test runner's closing lines say, such as ``12 passed, 1 failed``."""

import re
from collections.abc import Callable

NOTHING = "no tests ran"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def read_counts(tail: str) -> str:
    """Give the counts in the last lines of a runner's output; empty when no known runner speaks there."""
    text = _ESCAPES.sub("", tail)
    for reader in _READERS:
        if found := reader(text):
            return found
    return ""


def ran_nothing(counts: str) -> bool:
    """Whether the runner itself said that it ran no test at all."""
    return counts.startswith(NOTHING)


def _last(pattern: str, text: str) -> re.Match[str] | None:
    matches = list(re.finditer(pattern, text, re.MULTILINE))
    return matches[-1] if matches else None


def _pytest(text: str) -> str:
    if found := _last(r"^=* ?(no tests ran|(?:\d+ [a-z]+(?:, )?)+) in [\d.]+s", text):
        counts = found.group(1)
        if re.search(r"\d+ (passed|failed|errors?|xfailed|xpassed)\b", counts) or counts == NOTHING:
            return counts
        return f"{NOTHING} ({counts})"
    return ""


def _unittest(text: str) -> str:
    ran = _last(r"^Ran (\d+) tests? in [\d.]+s$", text)
    if ran is None:
        return ""
    if ran.group(1) == "0":
        return NOTHING
    ending = _last(r"^(?:OK|FAILED)(?: \((.+)\))?$", text)
    extra = f" ({ending.group(1)})" if ending and ending.group(1) else ""
    return f"{ran.group(1)} tests{extra}"


def _jest(text: str) -> str:
    found = _last(r"^ *Tests:? +((?:\d+ [a-z]+(?:, | \| )?)+)\s*(?:\d+ total|\(\d+\))", text)
    if found is None:
        return NOTHING if _last(r"^No tests? (?:found|files found)", text) else ""
    return found.group(1).rstrip(", |").replace(" | ", ", ")


def _node_and_mocha(text: str) -> str:
    passed = _last(r"^(?:# pass|\u2139 pass) (\d+)$", text)
    failed = _last(r"^(?:# fail|\u2139 fail) (\d+)$", text)
    if passed and failed:
        return _sum(int(passed.group(1)), int(failed.group(1)))
    passing = _last(r"^ *(\d+) passing", text)
    failing = _last(r"^ *(\d+) failing", text)
    return _sum(int(passing.group(1)), int(failing.group(1)) if failing else 0) if passing else ""


def _cargo(text: str) -> str:
    found = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed", text, re.MULTILINE)
    return _sum(sum(int(p) for p, _ in found), sum(int(f) for _, f in found)) if found else ""


def _go(text: str) -> str:
    good = len(re.findall(r"^ok\s+\S+\s+(?:[\d.]+s|\(cached\))", text, re.MULTILINE))
    bad = len(re.findall(r"^FAIL\s+\S+", text, re.MULTILINE))
    empty = bool(re.search(r"^\?\s+\S+\s+\[no test files\]", text, re.MULTILINE))
    if good or bad:
        return f"{good} packages ok" + (f", {bad} failed" if bad else "")
    return NOTHING if empty else ""


def _maven(text: str) -> str:
    found = _last(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+)", text)
    if found is None:
        return ""
    total, bad = int(found.group(1)), int(found.group(2)) + int(found.group(3))
    return _sum(total - bad, bad)


def _phpunit(text: str) -> str:
    if good := _last(r"^OK \((\d+) tests?, ", text):
        return f"{good.group(1)} passed"
    if bad := _last(r"^Tests: (\d+), Assertions: \d+(?:, Errors: (\d+))?(?:, Failures: (\d+))?", text):
        failed = int(bad.group(2) or 0) + int(bad.group(3) or 0)
        return _sum(int(bad.group(1)) - failed, failed)
    return ""


def _ruby(text: str) -> str:
    found = _last(
        r"^(\d+) (?:runs|examples|tests), (?:\d+ assertions, )?(\d+) failures?(?:, (\d+) errors?)?", text
    )
    if found is None:
        return ""
    bad = int(found.group(2)) + int(found.group(3) or 0)
    return _sum(int(found.group(1)) - bad, bad)


def _sum(passed: int, failed: int) -> str:
    if passed + failed == 0:
        return NOTHING
    return f"{passed} passed" + (f", {failed} failed" if failed else "")


_READERS: tuple[Callable[[str], str], ...] = (
    _pytest,
    _unittest,
    _jest,
    _node_and_mocha,
    _cargo,
    _go,
    _maven,
    _phpunit,
    _ruby,
)
