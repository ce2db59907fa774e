import pytest

from agentorchestr.verify.altered import altered_tests
from agentorchestr.verify.counts import ran_nothing, read_counts


@pytest.mark.parametrize(
    ("tail", "counts"),
    [
        ("", ""),
        ("all good\n", ""),
        ("======= 12 passed in 0.31s =======\n", "12 passed"),
        (
            "\x1b[31m==== \x1b[1m1 failed\x1b[0m, 2 passed, 1 warning\x1b[0m in 61.02s (0:01:01) ====\n",
            "1 failed, 2 passed, 1 warning",
        ),
        ("3 passed in 0.02s\n", "3 passed"),
        ("===== no tests ran in 0.01s =====\n", "no tests ran"),
        ("===== 4 skipped in 0.01s =====\n", "no tests ran (4 skipped)"),
        ("Ran 3 tests in 0.001s\n\nOK\n", "3 tests"),
        ("Ran 3 tests in 0.001s\n\nFAILED (failures=1, errors=1)\n", "3 tests (failures=1, errors=1)"),
        ("Ran 0 tests in 0.000s\n\nOK\n", "no tests ran"),
        ("Tests:       1 failed, 2 passed, 3 total\n", "1 failed, 2 passed"),
        ("      Tests  1 failed | 3 passed (4)\n", "1 failed, 3 passed"),
        ("No tests found, exiting with code 1\n", "no tests ran"),
        ("# pass 5\n# fail 1\n", "5 passed, 1 failed"),
        ("  7 passing (12ms)\n  1 failing\n", "7 passed, 1 failed"),
        (
            "test result: ok. 3 passed; 0 failed; 0 ignored\n\ntest result: FAILED. 1 passed; 2 failed;\n",
            "4 passed, 2 failed",
        ),
        ("test result: ok. 0 passed; 0 failed; 0 ignored\n", "no tests ran"),
        ("ok  \texample.com/a\t0.01s\nFAIL\texample.com/b\t0.02s\n", "1 packages ok, 1 failed"),
        ("?   \texample.com/a\t[no test files]\n", "no tests ran"),
        ("[INFO] Tests run: 5, Failures: 1, Errors: 0, Skipped: 0\n", "4 passed, 1 failed"),
        ("OK (12 tests, 40 assertions)\n", "12 passed"),
        ("Tests: 5, Assertions: 9, Failures: 2.\n", "3 passed, 2 failed"),
        ("6 runs, 9 assertions, 1 failures, 0 errors, 0 skips\n", "5 passed, 1 failed"),
        ("8 examples, 0 failures\n", "8 passed"),
    ],
)
def test_the_closing_lines_of_each_runner_are_read(tail: str, counts: str) -> None:
    assert read_counts(tail) == counts
    assert ran_nothing(counts) == counts.startswith("no tests")


@pytest.mark.parametrize(
    ("status", "path"),
    [
        ("M", "tests/test_app.py"),
        ("D", "pkg/test_app.py"),
        ("R096", "src/app.test.ts"),
        ("M", "src/__tests__/app.js"),
        ("T", "spec/app_spec.rb"),
        ("M", "internal/x_test.go"),
        ("M", "src/test/java/AppTest.java"),
        ("M", "conftest.py"),
        ("D", "jest.config.cjs"),
        ("M", "tests/data/expected.json"),
        ("A", "pytest.py"),
        ("A", "pytest/__init__.py"),
        ("A", "pytest.ini"),
        ("A", "lib/sitecustomize.py"),
        ("M", ".agentorchestr/PROJECT.md"),
        ("A", ".agentorchestr/config.toml"),
    ],
)
def test_a_change_to_a_test_that_existed_is_found(status: str, path: str) -> None:
    assert altered_tests([("M", "src/app.py"), (status, path)]) == (path,)


@pytest.mark.parametrize(
    ("status", "path"),
    [
        ("A", "tests/test_new.py"),
        ("M", "src/app.py"),
        ("M", "pyproject.toml"),
        ("M", "src/latest.py"),
        ("D", "docs/contest/x.md"),
        ("M", "src/attestation/key.py"),
    ],
)
def test_new_tests_and_other_files_are_no_alteration(status: str, path: str) -> None:
    assert altered_tests([(status, path)]) == ()
