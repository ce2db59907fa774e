"""One agent in a role that only reads: its report is what the person gets."""

from collections.abc import Callable
from pathlib import Path

from tests.conftest import git
from tests.e2e.conftest import Product

REVIEWS = """
[[worker]]
match = "."
turns = [{ steps = [{ do = "call", tool = "report_done", args = { summary = "approve: nothing to change" } }] }]
"""


def test_a_manual_reviewer_ends_well_with_its_report_and_nothing_merged(
    product: Product, repo: Path, scenario: Callable[[str], str]
) -> None:
    before = git(repo, "rev-parse", "main")
    done = product.run(
        "--manual", "--role", "reviewer", "--task", "look at it", "--agent", "practice", "--no-attach",
        "--trust", "--checks", "false", "--land", cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=scenario(REVIEWS),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "approve: nothing to change" in done.stdout
    assert "its role only reads, its report is its result" in done.stdout
    assert "nothing was merged, so there is nothing to land" in done.stdout
    assert "checks    were not run (false)" in done.stdout
    assert git(repo, "rev-parse", "main") == before
