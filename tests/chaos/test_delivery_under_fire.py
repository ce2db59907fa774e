"""A short, seeded piece of ``scripts/chaos/delivery``: a real session, a person at its panes, and kills."""

import shutil
from pathlib import Path

import pytest

from scripts.chaos.delivery_run import run
from scripts.chaos.delivery_storm import Plan

NEEDS_BROKER = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin") is None,
    reason="mosquitto is not installed",
)


@NEEDS_BROKER
def test_under_fire_nothing_is_lost_doubled_garbled_or_falsely_told(
    private_home: dict[str, str], short_dir: Path
) -> None:
    plan = Plan(sends=40, workers=3, seed="short", supervisor_every=18, broker_every=15, agent_every=25)
    found = run(plan, private_home, short_dir)
    counted, faults = found.count, found.storm.faults
    assert found.storm.notes == []
    assert counted.lost == []
    assert counted.second_effect == []
    assert counted.false_not_delivered == []
    assert counted.drafts_destroyed == []
    assert counted.garbled_prompts == []
    assert counted.prompts, "no transcript was found: then nothing was looked at"
    assert (counted.approved_by_typing, counted.run_by_a_shell) == (0, 0)
    assert counted.sends == 40
    assert faults.supervisor, "a seed without a kill proves nothing"
    assert faults.broker
    assert counted.latencies_s, "nobody was idle: then nothing was measured"
