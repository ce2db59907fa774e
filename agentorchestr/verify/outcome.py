"""What a set of check runs adds up to."""

from collections.abc import Sequence

from agentorchestr.model.states import CheckOutcome
from agentorchestr.model.verdict import CheckRun
from agentorchestr.verify.counts import ran_nothing

# A shell's and our own exit codes for "not executable" and "not found".
_COULD_NOT_RUN = frozenset({126, 127})
_NO_RUNNER = ("No module named pytest", "No module named unittest")


def outcome_of(runs: Sequence[CheckRun]) -> CheckOutcome:
    """Add up *runs*; only real, passing checks make it green.

    ``ERROR`` when a command could not be run at all, ``NO_CHECKS`` when there was nothing to run or every
    runner said that it ran no test, ``RED`` when one failed, ran out of time, or ran no test beside
    others that did.
    """
    if not runs:
        return CheckOutcome.NO_CHECKS
    if any(could_not_run(run) for run in runs):
        return CheckOutcome.ERROR
    empty = [ran_nothing(run.counts) and not run.timed_out for run in runs]
    if all(empty):
        return CheckOutcome.NO_CHECKS
    if any(empty) or any(run.timed_out or run.exit_code != 0 for run in runs):
        return CheckOutcome.RED
    return CheckOutcome.GREEN


def could_not_run(run: CheckRun) -> bool:
    """Whether this says nothing about the tree: the program or its test runner is not there."""
    if run.timed_out:
        return False
    last = run.tail.rstrip().rpartition("\n")[2]
    return run.exit_code in _COULD_NOT_RUN or (run.exit_code != 0 and last.endswith(_NO_RUNNER))
