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


def move_result(repo: Path, place: Path, name: str) -> None:
    """Put a commit of the person's with the file *name* on the newest session's integration branch."""
    (branch,) = git(repo, "branch", "--list", "--format=%(refname:short)", "*/integration").splitlines()
    git(repo, "worktree", "add", "-q", str(place), branch)
    (place / name).write_text("x")
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "after the verdict")
    git(repo, "worktree", "remove", str(place))


def test_a_result_that_moved_after_its_verdict_is_checked_before_it_lands(
    product: Product, repo: Path, scenario: Scenario, tmp_path: Path
) -> None:
    ended(product, repo, scenario, "--checks", "test ! -f forbidden")
    before = git(repo, "rev-parse", "main")
    move_result(repo, tmp_path / "one", "harmless")
    move_result(repo, tmp_path / "two", "forbidden")
    refused = product.run("land", cwd=repo)
    assert refused.returncode == 1
    assert "moved after its verdict" in refused.stderr
    assert "--unverified" in refused.stderr
    assert git(repo, "rev-parse", "main") == before
    (branch,) = git(repo, "branch", "--list", "--format=%(refname:short)", "*/integration").splitlines()
    git(repo, "branch", "-f", branch, f"{branch}~1")
    landed = product.run("land", cwd=repo)
    assert landed.returncode == 0, landed.stderr
    assert (repo / "harmless").is_file()


def test_a_result_that_nothing_proves_lands_on_the_persons_explicit_word_only(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    path = scenario(MAKES_A_FILE)
    done = product.run(
        "--manual", "--task", "go", "--agent", "practice", "--no-attach", "--trust", cwd=repo,
        AGENTORCHESTR_PRACTICE_SCENARIO=path,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    refused = product.run("land", cwd=repo)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 2, refused.stderr
    assert "--unverified" in refused.stderr
    assert not (repo / "made.txt").exists()
    landed = product.run("land", "--unverified", cwd=repo)
    assert landed.returncode == 0, landed.stderr
    assert (repo / "made.txt").is_file()


def test_files_taken_along_land_with_the_result(product: Product, repo: Path, scenario: Scenario) -> None:
    (repo / "README.md").write_text("a draft of mine\n")
    (repo / "made.txt").write_text("my first lines\n")
    ended(product, repo, scenario, "--checks", "true", "--include-dirty", "--land")
    assert (repo / "made.txt").read_text() == "made"
    assert (repo / "README.md").read_text() == "a draft of mine\n"
    assert git(repo, "status", "--porcelain") == ""


def test_a_file_taken_along_and_changed_since_stops_the_landing(
    product: Product, repo: Path, scenario: Scenario
) -> None:
    (repo / "made.txt").write_text("my first lines\n")
    ended(product, repo, scenario, "--checks", "true", "--include-dirty")
    (repo / "made.txt").write_text("my first lines\nand more\n")
    refused = product.run("land", cwd=repo)
    assert refused.returncode == 1
    assert "made.txt" in refused.stderr
    assert (repo / "made.txt").read_text() == "my first lines\nand more\n"
