"""The report of a session that was not done says what its verdicts are on, and how its result lands."""

import json
from typing import Any

import pytest

from agentorchestr.model.facts import Fact, GoalMarked, MergeEnded, SessionEnded, VerifyEnded
from agentorchestr.model.states import CheckOutcome, MergeResult, Outcome
from agentorchestr.model.verdict import MergeAttempt, Verdict


def verdict(commit: str, outcome: CheckOutcome, at: float) -> Verdict:
    return Verdict(f"v-{commit}", commit, "t", outcome, (), 1.0, at)


def merge(commit: str, result: MergeResult, checked: Verdict) -> MergeEnded:
    return MergeEnded(MergeAttempt(f"m-{commit}", "w1", result, commit=commit, verdict=checked))


MERGED = merge("c1", MergeResult.MERGED, verdict("c1", CheckOutcome.GREEN, 1.0))
RED = merge("", MergeResult.RED, verdict("c2", CheckOutcome.RED, 2.0))
PREVIEW = VerifyEnded(verdict("c3", CheckOutcome.RED, 3.0))


@pytest.fixture
def report(stage: Any, make_facts: Any) -> Any:
    created, spawned = make_facts

    def of(outcome: Outcome, *facts: Fact) -> tuple[str, Any]:
        marks = (GoalMarked(outcome, "so it ended"), SessionEnded(outcome, "so it ended"))
        stage.product.facts.clear()
        stage.product.add("abc123", created("abc123"), spawned("w1"), *facts, *marks)
        return stage.run("status").stdout, json.loads(stage.run("status", "--json").stdout)["data"]

    return of


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Outcome.CANCELLED, "stopped before its goal was reached"),
        (Outcome.FAILED, "its goal was not reached"),
        (Outcome.UNVERIFIED, "nothing proves it"),
    ],
)
def test_a_session_that_was_not_done_passes_on_what_was_merged_and_lands_on_the_persons_word(
    report: Any, outcome: Outcome, why: str
) -> None:
    text, shape = report(outcome, MERGED, RED, PREVIEW)
    assert "checks    passed on what was merged so far" in text
    assert f"land it   agentorchestr land abc123 --unverified   ({why}: look at it first)" in text
    assert "not verified" not in text
    assert shape["land_command"] == "agentorchestr land abc123 --unverified"
    assert shape["verdict"]["commit"] == "c1"


def test_a_failure_of_what_was_not_merged_is_said_as_that(report: Any) -> None:
    text, _ = report(Outcome.FAILED, RED)
    assert "checks    FAILED on work that was not merged" in text
    assert "nothing was merged, so there is nothing to land" in text


def test_what_was_only_tried_does_not_show_in_a_session_that_is_done(report: Any) -> None:
    text, shape = report(Outcome.DONE, MERGED, PREVIEW)
    assert "checks    passed\n" in text
    assert shape["land_command"] == "agentorchestr land abc123"


def test_land_hands_on_the_persons_word(report: Any, stage: Any) -> None:
    report(Outcome.CANCELLED, MERGED)
    assert "unproven" in stage.run("land", "--unverified").stdout
    assert "unproven" not in stage.run("land").stdout
