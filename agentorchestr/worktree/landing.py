"""Bring the verified integration tip into the person's branch: only if nothing can be lost."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from agentorchestr.errors import GitError, RefMoved, UsageError, WorkAtRisk
from agentorchestr.worktree import gateway
from agentorchestr.worktree.git import CHECKOUT_S, run_git, shown
from agentorchestr.worktree.held import held_by
from agentorchestr.worktree.listing import WorktreeRow, list_worktrees
from agentorchestr.worktree.merging import commit_tree, compute_merge, in_the_way, move_branch
from agentorchestr.worktree.repository import Repository, branch_tip, read_commit, read_dirty
from agentorchestr.worktree.snapshots import snapshot_files

NAMES_SHOWN = 8


@dataclass(frozen=True)
class LandResult:
    """How landing went. ``moved`` is False when the branch held everything already."""

    branch: str
    commit: str
    moved: bool
    how: str


def land(
    repo: Repository, *, integration_tip: str, base_branch: str, base_commit: str, session_id: str = "landing"
) -> LandResult:
    """Move *base_branch* forward to *integration_tip*; a tree that has it checked out follows.

    Files that differ in that tree and are not part of the change stay as they are. Those that *base_commit*
    took along (``--include-dirty``) and that are still exactly as it holds them are part of the history
    that lands: they are saved to a snapshot of *session_id* and follow as well. Raises, with
    nothing touched, each time with the command to type: ``UsageError`` when the session started
    from a detached HEAD; ``RefMoved`` when the branch has commits the tip lacks (merge them with
    ``merge_for_landing``, verify, land that); ``WorkAtRisk`` when files of the person's would be
    overwritten or the branch is in the middle of a rebase.
    """
    tip = read_commit(repo, integration_tip)
    current = base_tip(repo, base_branch, tip=tip)
    if contains(repo, tip, within=current):
        return LandResult(base_branch, current, moved=False, how="the branch held it already")
    if not contains(repo, current, within=tip):
        git = f"git -C {shlex.quote(str(repo.root))}"
        raise RefMoved(
            f"the branch {base_branch} has commits of its own since {base_commit[:12]}",
            hint=f"merge by hand: {git} switch {shlex.quote(base_branch)} && {git} merge {tip[:12]}",
        )
    # A base the branch already holds took nothing along: a file that looks like it was put back on purpose.
    along = contains(repo, base_commit, within=tip) and not contains(repo, base_commit, within=current)
    step = _Step(repo, base_branch, current, tip, base_commit if along else "", session_id)
    return step.take()


def base_tip(repo: Repository, base_branch: str, *, tip: str) -> str:
    """Where the branch to land on is.

    Raises ``UsageError`` when there is none, with another way to bring *tip* in.
    """
    git = f"git -C {shlex.quote(str(repo.root))}"
    if not base_branch:
        raise UsageError(
            "the session started from a detached HEAD, so there is no branch to land on",
            hint=f"{git} switch -c NEW_BRANCH {tip[:12]}",
        )
    current = branch_tip(repo, base_branch)
    if current is None:
        raise UsageError(
            f"the branch {base_branch} is gone",
            hint=f"bring it back: {git} branch {shlex.quote(base_branch)} {tip[:12]}",
        )
    return current


def contains(repo: Repository, commit: str, *, within: str) -> bool:
    """Whether *commit* is *within* or an ancestor of it."""
    return run_git(repo.root, "merge-base", "--is-ancestor", commit, within, accept=(0, 1)).code == 0


@dataclass(frozen=True)
class _Step:
    """One move of *branch* from *current* forward to *tip*."""

    repo: Repository
    branch: str
    current: str
    tip: str
    along: str
    """The commit that took uncommitted files along; empty when none did."""
    session_id: str

    def take(self) -> LandResult:
        rows = [row for row in list_worktrees(self.repo) if not row.bare]
        _refuse_during_rebase(rows, self.branch)
        held = [row for row in rows if row.branch == self.branch and not row.missing]
        if not held:
            move_branch(self.repo, self.branch, new=self.tip, expected=self.current)
            return LandResult(self.branch, self.tip, moved=True, how="the branch is not checked out anywhere")
        if len(held) > 1:
            places = ", ".join(str(row.path) for row in held)
            raise WorkAtRisk(f"the branch {self.branch} is checked out more than once: {places}")
        tree = held[0].path
        met = _overlap(tree, current=self.current, tip=self.tip)
        saved = self._saved(tree, met)
        if saved != met:
            raise self._refusal(tree, met - saved)
        if met:
            return self._with_what_was_taken_along(tree, met)
        # git itself refuses once more; ignored files too, which it would overwrite by default.
        merged = run_git(
            tree, "merge", "--ff-only", "--no-overwrite-ignore", "--no-autostash", "-q", self.tip,
            accept=range(256), timeout_s=CHECKOUT_S,
        )  # fmt: skip
        if merged.code:
            problem = f"git refused to update {tree}: {merged.err or merged.text}"
            raise WorkAtRisk(problem, hint=_by_hand(tree, self.tip))
        return LandResult(self.branch, self.tip, moved=True, how=f"fast-forward in {tree}")

    def _saved(self, tree: Path, met: set[bytes]) -> set[bytes]:
        """Those of *met* that the session took along and that are still as it holds them."""
        seen = met - _told_to_look_away(tree) if self.along else set()
        return held_by(tree, self.along, seen, head=self.current) if seen else set()

    def _with_what_was_taken_along(self, tree: Path, names: set[bytes]) -> LandResult:
        snapshot_files(
            self.repo, tree, names, head=self.current, session_id=self.session_id, worker_id="landing"
        )
        gateway.overwrite_held(
            self.repo, tree, names, held=self.along, branch=self.branch, old=self.current, new=self.tip
        )
        how = f"fast-forward in {tree}, with the changes that were taken along"
        return LandResult(self.branch, self.tip, moved=True, how=how)

    def _refusal(self, tree: Path, met: set[bytes]) -> WorkAtRisk:
        listed = ", ".join(shown(name) for name in sorted(met)[:NAMES_SHOWN])
        more = f" and {len(met) - NAMES_SHOWN} more" if len(met) > NAMES_SHOWN else ""
        return WorkAtRisk(
            f"landing on {self.branch} would overwrite what differs in {tree}: {listed}{more}",
            hint=_by_hand(tree, self.tip),
        )


def _by_hand(tree: Path, tip: str) -> str:
    git = f"git -C {shlex.quote(str(tree))}"
    # Not "commit": the branch would then have a commit of its own, and nothing could be fast-forwarded.
    return f"move these files or put them aside ({git} stash -u), then: {git} merge --ff-only {tip[:12]}"


def _overlap(tree: Path, *, current: str, tip: str) -> set[bytes]:
    """What the change touches and that differs from HEAD, is ignored, or is hidden from git."""
    names = run_git(tree, "diff-tree", "-r", "--no-renames", "-z", "--name-only", current, tip).records
    dirty = {name for name, _ in read_dirty(tree)}
    flagged = _told_to_look_away(tree)
    met = in_the_way(tree, current, tip) | {name for name in names if name in dirty or name in flagged}
    return met | {
        name for name in dirty if any(other.startswith(name.rstrip(b"/") + b"/") for other in names)
    }


def _told_to_look_away(tree: Path) -> set[bytes]:
    """Files marked "assume unchanged" or "skip worktree": git overwrites edits to the former unseen."""
    records = run_git(tree, "ls-files", "-v", "-z", timeout_s=CHECKOUT_S).records
    return {record[2:] for record in records if record[:1].islower() or record[:1] == b"S"}


def _refuse_during_rebase(rows: list[WorktreeRow], branch: str) -> None:
    for row in rows:
        if row.missing or row.branch:
            continue
        git_dir = Path(row.path, run_git(row.path, "rev-parse", "--git-dir").text)
        for name in ("rebase-merge/head-name", "rebase-apply/head-name"):
            record = git_dir / name
            if record.is_file() and record.read_text(errors="replace").strip() == f"refs/heads/{branch}":
                raise WorkAtRisk(
                    f"the branch {branch} is being rebased in {row.path}",
                    hint="finish that first: git rebase --continue, or --abort",
                )


def merge_for_landing(repo: Repository, *, integration_tip: str, base_branch: str, message: str) -> str:
    """Make the commit that brings *integration_tip* and a base that moved on together; move nothing.

    Returns its id, for the caller to verify and then to land; *integration_tip* itself when the base
    has not moved. Raises ``WorkAtRisk`` with the files when the two conflict.
    """
    current = branch_tip(repo, base_branch)
    if current is None:
        raise GitError(f"the branch {base_branch} is gone")
    merge = compute_merge(repo, ours=current, theirs=integration_tip)
    if merge.nothing:
        return current
    if merge.fast_forward:
        return read_commit(repo, integration_tip)
    if merge.conflicts:
        listed = ", ".join(f"{conflict.path} ({conflict.kind})" for conflict in merge.conflicts)
        git = f"git -C {shlex.quote(str(repo.root))}"
        switch = f"{git} switch {shlex.quote(base_branch)}"
        raise WorkAtRisk(
            f"{base_branch} has moved on and conflicts with the session's work: {listed}",
            hint=f"merge by hand: {switch} && {git} merge {integration_tip[:12]}",
        )
    parents = (current, read_commit(repo, integration_tip))
    return commit_tree(repo, tree=merge.tree, parents=parents, message=message)
