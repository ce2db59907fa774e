"""``agentorchestr clean``: what is merged or saved goes, everything else stays and says why."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agentorchestr.errors import UsageError
from agentorchestr.journal.store import Journal
from agentorchestr.model import facts as f
from agentorchestr.model.states import Outcome
from agentorchestr.model.view import integration_branch, worker_branch
from agentorchestr.paths import LockHeld, Paths, ensure_private, holding_lock
from agentorchestr.process import MARK_VARIABLE, lives, start_time
from agentorchestr.wiring.cleaning import Cleaning, clean
from agentorchestr.wiring.reading import session_lock
from agentorchestr.worktree.repository import Repository, find_repository, read_commit
from agentorchestr.worktree.worktrees import add_worktree
from tests.conftest import git
from tests.worktree.saved import assert_saved, contents

ROOT = Path(__file__).parents[2]
CREATED = f.SessionCreated(
    session_id="",
    goal="a goal",
    project="",
    repository="",
    base_branch="main",
    base_commit="",
    lead_agent="practice",
    worker_agents=("practice",),
    max_workers=4,
    checks=(),
    timeout_s=0.0,
    land=False,
    manual=False,
)
OVER = f.SessionEnded(Outcome.DONE, "done")


@dataclass(frozen=True)
class Yard:
    """A person's repository and folders, with sessions written down by hand."""

    paths: Paths
    repo: Repository

    def session(self, session_id: str, *ending: f.Fact, age_s: float = 0.0) -> Path:
        """Make a session with an integration branch and one worker's worktree; its tree's path."""
        folder = ensure_private(self.paths.session(session_id))
        (ensure_private(self.paths.session_run(session_id)) / "environment.json").write_text("{}")
        tree = self.paths.worktrees(self.repo.key, session_id) / "w1"
        created = replace(
            CREATED, session_id=session_id, project=str(self.repo.root), repository=str(self.repo.root)
        )
        branch = worker_branch(session_id, "w1")
        spawned = f.WorkerSpawned("w1", "implementer", "practice", "t", (), "", "", branch, str(tree), "n")
        with Journal.create(folder) as journal:
            journal.append([created, spawned, *ending], at=time.time() - age_s)
        head = read_commit(self.repo, "HEAD")
        git(self.repo.root, "branch", integration_branch(session_id), head)
        add_worktree(self.repo, tree, branch=branch, commit=head)
        return tree

    def branches(self) -> set[str]:
        return set(git(self.repo.root, "branch", "--format=%(refname:short)").split())

    def everything(self) -> tuple[dict[str, str], str]:
        """All files of ours, without the lock of the command itself, and all refs."""
        files = {name: held for name, held in contents(self.paths.state).items() if "lock" not in name}
        return {**files, **contents(self.paths.run)}, git(self.repo.root, "show-ref")


@pytest.fixture
def yard(private_paths: Paths, repo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Yard:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for folder in (private_paths.state, private_paths.run, private_paths.sessions):
        ensure_private(folder)
    return Yard(private_paths, find_repository(repo))


def told(cleaning: Cleaning) -> tuple[set[tuple[str, str]], dict[str, str]]:
    """What went, by kind and name, and what stays with its reason."""
    return {(one.kind, Path(one.name).name) for one in cleaning.gone}, {
        one.kind: one.keep for one in cleaning.kept
    }


def test_a_session_that_left_nothing_of_its_own_goes_whole(yard: Yard) -> None:
    yard.session("aaaaaa", OVER)
    gone, kept = told(clean(yard.paths, ["aaaa"]))
    assert gone == {
        ("worktree", "w1"),
        ("branch", "w1"),
        ("branch", "integration"),
        ("run folder", "aaaaaa"),
        ("session files", "aaaaaa"),
    }
    assert kept == {}
    assert yard.branches() == {"main"}
    assert git(yard.repo.root, "worktree", "list").count("\n") == 0
    assert [path for path in yard.paths.state.rglob("*") if "aaaaaa" in path.name] == []


def test_what_is_on_a_branch_alone_stays_with_its_session(yard: Yard) -> None:
    tree = yard.session("aaaaaa", OVER)
    (tree / "mine").write_text("x")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "work")
    gone, kept = told(clean(yard.paths, ["aaaaaa"]))
    assert gone == {("worktree", "w1"), ("branch", "integration"), ("run folder", "aaaaaa")}
    assert kept["branch"].startswith("1 commits are on it alone")
    assert kept["session files"] == "something else of it stays"
    assert git(yard.repo.root, "show", "agentorchestr/aaaaaa/w1:mine") == "x"
    git(yard.repo.root, "merge", "-q", "agentorchestr/aaaaaa/w1")
    assert told(clean(yard.paths, ["aaaaaa"]))[1] == {}
    assert yard.branches() == {"main"}


def test_a_result_that_was_not_landed_holds_its_workers_branches(yard: Yard) -> None:
    tree = yard.session("aaaaaa", OVER)
    (tree / "mine").write_text("x")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "work")
    git(
        yard.repo.root,
        "update-ref",
        "refs/heads/agentorchestr/aaaaaa/integration",
        git(tree, "rev-parse", "HEAD"),
    )
    gone, kept = told(clean(yard.paths, ["aaaaaa"]))
    assert ("branch", "w1") in gone
    assert "agentorchestr land aaaaaa" in kept["branch"]
    assert yard.branches() == {"main", "agentorchestr/aaaaaa/integration"}


def test_unsaved_work_goes_to_a_snapshot_first(yard: Yard) -> None:
    tree = yard.session("aaaaaa", OVER)
    (tree / "new").write_text("unsaved")
    (tree / "README.md").write_text("edited")
    before = contents(tree)
    cleaning = clean(yard.paths, ["aaaaaa"])
    assert not tree.exists()
    assert_saved(yard.repo, before)
    (piece,) = [one for one in cleaning.gone if one.kind == "worktree"]
    assert piece.note == "saved in refs/agentorchestr/snapshots/aaaaaa/w1/1"


def test_a_tree_that_cannot_be_saved_stays(yard: Yard) -> None:
    tree = yard.session("aaaaaa", OVER)
    (tree / ".git").unlink()
    (tree / "new").write_text("unsaved")
    _, kept = told(clean(yard.paths, ["aaaaaa"]))
    assert "not a worktree any more" in kept["worktree"]
    assert "session files" in kept
    assert (tree / "new").read_text() == "unsaved"


@pytest.mark.parametrize(
    "ending", [(), (f.SessionEnded(Outcome.PAUSED, "tmux ended"),)], ids=["no end", "paused"]
)
def test_a_session_that_can_go_on_is_never_touched(yard: Yard, ending: tuple[f.Fact, ...]) -> None:
    tree = yard.session("aaaaaa", *ending, age_s=1e8)
    (tree / "new").write_text("unsaved")
    before = yard.everything()
    for wanted in ([], ["aaaaaa"]):
        cleaning = clean(yard.paths, wanted, older_than_s=0.0)
        assert cleaning.gone == []
        assert [one.kind for one in cleaning.kept] == ["session"]
    assert yard.everything() == before


def test_a_session_whose_supervisor_still_lives_is_never_touched(yard: Yard) -> None:
    me = os.getpid()
    started = start_time(me) or 0.0
    yard.session("aaaaaa", f.SupervisorStarted(1, me, started, 1), OVER, age_s=1e8)
    before = yard.everything()
    assert told(clean(yard.paths))[1] == {"session": "its supervisor is just ending it"}
    assert yard.everything() == before


def test_a_dry_run_touches_nothing_and_tells_the_same(yard: Yard) -> None:
    tree = yard.session("aaaaaa", OVER, age_s=1e8)
    (tree / "new").write_text("unsaved")
    other = yard.session("bbbbbb", OVER)
    git(other, "commit", "-q", "--allow-empty", "-m", "mine")
    ensure_private(yard.paths.session_run("cccccc"))
    before = yard.everything()
    would = told(clean(yard.paths, dry_run=True))
    assert yard.everything() == before
    assert told(clean(yard.paths)) == would


def test_the_files_of_a_young_session_stay_for_its_logs_unless_it_is_named(yard: Yard) -> None:
    yard.session("aaaaaa", OVER, age_s=86_400.0)
    assert "13 more days" in told(clean(yard.paths))[1]["session files"]
    assert ("session files", "aaaaaa") in told(clean(yard.paths, older_than_s=3600.0))[0]


def test_what_belongs_to_no_session_goes_too(yard: Yard) -> None:
    tree = yard.session("aaaaaa", OVER)
    (tree / "new").write_text("unsaved")
    before = contents(tree)
    yard.paths.session("aaaaaa").rename(yard.repo.root.parent / "lost")
    (yard.paths.run / "mqtt.sock").touch()
    gone, kept = told(clean(yard.paths))
    assert gone == {("run folder", "aaaaaa"), ("worktree", "w1")}
    assert kept == {}
    assert_saved(yard.repo, before)
    assert (yard.paths.run / "mqtt.sock").exists()


def test_without_its_repository_the_trees_stay(yard: Yard, tmp_path: Path) -> None:
    tree = yard.session("aaaaaa", OVER)
    yard.repo.root.rename(tmp_path / "elsewhere")
    _, kept = told(clean(yard.paths, ["aaaaaa"]))
    assert "no such directory" in kept["repository"]
    assert (tree / "README.md").exists()


def test_processes_that_a_finished_session_left_are_ended_and_no_others(yard: Yard) -> None:
    yard.session("aaaaaa", OVER)
    running = [
        subprocess.Popen(["sleep", "60"], env={"PATH": "/usr/bin:/bin", MARK_VARIABLE: mark})
        for mark in ("aaaaaa:w1:", "aaaaab:w1:")
    ]
    try:
        gone, _ = told(clean(yard.paths, ["aaaaaa"]))
        assert ("process", str(running[0].pid)) in gone
        running[0].wait(5)
        assert lives(running[1].pid, start_time(running[1].pid) or 0.0)
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_an_id_that_is_none_is_refused(yard: Yard) -> None:
    yard.session("aaaaaa", OVER)
    yard.session("aaaaab", OVER)
    for wanted in ("zzz", "aaaaa", ""):
        with pytest.raises(UsageError, match="begins with"):
            clean(yard.paths, [wanted])


def test_a_session_another_command_works_on_stays(yard: Yard) -> None:
    yard.session("aaaaaa", OVER)
    before = yard.everything()
    with holding_lock(session_lock(yard.paths, "aaaaaa")):
        assert told(clean(yard.paths, ["aaaaaa"]))[1] == {"session": "another command is at work on it"}
    assert yard.everything() == before
    with holding_lock(yard.paths.state / "x.lock"), pytest.raises(LockHeld):
        holding_lock(yard.paths.state / "x.lock").__enter__()


def test_two_at_once_clean_everything_once(
    yard: Yard, private_home: dict[str, str], until_done: Callable[..., list[str]]
) -> None:
    trees = [yard.session(f"aaaa{number:02x}", OVER, age_s=1e8) for number in range(4)]
    for tree in trees:
        (tree / "new").write_text(tree.parent.name)
    said = until_done(private_home, yard.repo.root, 2)
    assert sum(one.count("gone") for one in said) == 4 * 5
    assert yard.branches() == {"main"}
    assert list(yard.paths.sessions.iterdir()) == []
    saved = git(yard.repo.root, "for-each-ref", "--format=%(refname)", "refs/agentorchestr").split()
    assert len(saved) == 4


@pytest.fixture
def until_done() -> Callable[..., list[str]]:
    def run(env: dict[str, str], cwd: Path, number: int) -> list[str]:
        words = [sys.executable, "-P", "-m", "agentorchestr", "clean"]
        env = {**env, "PYTHONPATH": str(ROOT)}
        both = [
            subprocess.Popen(
                words, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            for _ in range(number)
        ]
        said = [process.communicate(timeout=120)[0] for process in both]
        assert [process.returncode for process in both] == [0] * number, said
        return said

    return run
