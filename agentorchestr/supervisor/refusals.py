"""Why a branch cannot be merged as it is: nothing in it, a role that only reads, conflicts, altered tests."""

from dataclasses import dataclass

from agentorchestr.model.states import MergeResult
from agentorchestr.verify.altered import altered_tests
from agentorchestr.verify.mixed import is_mixed, settings_changed
from agentorchestr.worktree.committing import changed_files, file_at
from agentorchestr.worktree.merging import ComputedMerge
from agentorchestr.worktree.repository import Repository


@dataclass(frozen=True)
class Refusal:
    """A merge that does not take place. *tests* are those it would alter."""

    result: MergeResult
    why: str
    tests: tuple[str, ...] = ()


def refuse_by_result(computed: ComputedMerge, *, role: str, may_edit: bool, branch: str) -> Refusal | None:
    """What the computed merge itself forbids."""
    if computed.nothing:
        return Refusal(MergeResult.NOTHING, f"{branch} holds nothing new")
    if not may_edit:
        return Refusal(MergeResult.REFUSED, f"the role {role} may not change files; its diff is refused")
    if computed.conflicts:
        return Refusal(MergeResult.CONFLICT, "conflicts with what was merged before")
    return None


def refuse_altered_tests(
    repository: Repository, computed: ComputedMerge, *, ours: str, theirs: str
) -> Refusal | None:
    """Refuse a merge that changes existing tests or how they run; the lead may allow it, having read it."""
    changes = [(c.status, c.old_path or c.path) for c in changed_files(repository, ours, theirs)]
    tests = dict.fromkeys((*altered_tests(changes), *_altered_settings(repository, computed, ours)))
    if not tests:
        return None
    why = "it changes tests or how they run: read its diff; allow_test_changes=true if that is right"
    return Refusal(MergeResult.REFUSED, why, tuple(tests))


def _altered_settings(repository: Repository, computed: ComputedMerge, ours: str) -> list[str]:
    """Files of mixed content whose test settings the merge would change."""
    mixed = [path for path in computed.files if is_mixed(path)]
    before = {path: file_at(repository, ours, path) for path in mixed}
    return [p for p in mixed if settings_changed(p, before[p], file_at(repository, computed.tree, p))]
