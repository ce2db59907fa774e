"""The person's branch: moved only on their word, and only when nothing is lost."""

from collections.abc import Callable
from pathlib import Path

from tests.conftest import git
from tests.e2e.conftest import Product

Scenario = Callable[[str], str]
MAKES_A_FILE = """
[[worker]]
match = "."
turns = [{ steps = [
  { do = "write", file = "made.txt", text = "made" },
  { do = "commit", message = "made" },
  { do = "call", tool = "report_done", args = { summary = "made" } },
] }]
"""
WORDS = ("--goal", "go", "--no-attach", "--trust", "--agents", "practice")


def ended(product: Product, repo: Path, scenario: Scenario, *more: str) -> str:
    path = scenario(MAKES_A_FILE)
    done = product.run(*WORDS, *more, cwd=repo, AGENTORCHESTR_PRACTICE_SCENARIO=path)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_base_that_moved_meanwhile_is_merged_and_checked_before_landing(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    ended(product, repo, scenario, "--checks", "test ! -f forbidden")
    (repo / "mine.txt").write_text("mine")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "mine")
    landed = product.run("land", cwd=repo)
    assert landed.returncode == 0, landed.stdout + landed.stderr
    assert (repo / "mine.txt").is_file()
    assert (repo / "made.txt").is_file()
    assert git(repo, "status", "--porcelain") == ""


def test_a_base_that_breaks_the_checks_together_with_the_result_stays_where_it_is(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    ended(product, repo, scenario, "--checks", "test ! -f forbidden")
    (repo / "forbidden").write_text("x")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "mine")
    before = git(repo, "rev-parse", "main")
    refused = product.run("land", cwd=repo)
    assert refused.returncode == 1
    assert "checks do not pass" in refused.stderr
    assert git(repo, "rev-parse", "main") == before
    assert git(repo, "worktree", "list").count("\n") == 0


def test_land_at_the_end_is_done_when_asked_for(product: Product, repo: Path, scenario: Scenario) -> None:
    (repo / "README.md").write_text("a draft of mine\n")
    ended(product, repo, scenario, "--checks", "true", "--land")
    assert (repo / "made.txt").is_file()
    assert (repo / "README.md").read_text() == "a draft of mine\n"
